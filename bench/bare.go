package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/starter"
)

// ground makes containers with nothing above the starter: no daemon, no record, no log.
type ground struct {
	dir    string
	dirs   record.Dirs // for the writable layers
	tree   *cgroup.Tree
	native *starter.Native
	layers []string // of the toolbox image, top first
	caps   []string
	masks  []string
	steps  laps
}

// ground is one for the whole run.
func (b *bench) ground(ctx context.Context) (*ground, error) {
	if b.common != nil {
		return b.common, nil
	}
	quiet := slog.New(slog.DiscardHandler)
	g := &ground{dir: filepath.Join(b.dir, "ground")}
	g.dirs = record.Dirs{Root: g.dir}
	images, err := image.Open(ctx, image.Config{Root: filepath.Join(g.dir, "images"), Log: quiet})
	if err != nil {
		return nil, err
	}
	b.then(images.Close)
	if g.layers, err = b.unpack(ctx, images); err != nil {
		return nil, err
	}
	if err := linux.PrivateDirs(g.dirs.Uppers()); err != nil {
		return nil, err
	}
	if err := linux.SpreadBelow(g.dirs.Uppers(), g.dirs.UpperTops()...); err != nil {
		return nil, err
	}
	parent := "hull-bench-" + strconv.Itoa(os.Getpid())
	if g.tree, err = cgroup.Open(cgroup.Config{Parent: parent, Log: quiet}); err != nil {
		return nil, err
	}
	b.then(func() error { return g.tree.Load("any").Prune() })
	if g.native, err = starter.NewNative(starter.Config{Log: quiet, Own: true}); err != nil {
		return nil, err
	}
	b.then(func() error { g.native.Close(); return nil })
	if g.caps, err = oci.HostCapabilities(); err != nil {
		return nil, err
	}
	if g.masks, err = oci.HostMaskPaths(); err != nil {
		return nil, err
	}
	b.common = g
	return g, nil
}

// archive is the toolbox image as make build leaves it.
const archive = "internal/assets/toolbox.tar"

func (b *bench) unpack(ctx context.Context, images *image.Store) ([]string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	loaded, err := images.Load(ctx, io.Reader(f))
	if err != nil {
		return nil, err
	}
	return images.Layers(ctx, loaded[0].ID, "bench")
}

// spec is a container's with everything on, as Hull makes it of a plain Pod.
func (g *ground) spec(c oci.Config) (*oci.Spec, error) {
	c.HostCapabilities, c.MaskPaths = g.caps, g.masks
	c.Env = []string{"PATH=/bin:/usr/bin"}
	c.CgroupV2 = g.tree.Unified()
	return oci.New(c)
}

// container is one that runs.
type container struct {
	process *starter.Process
	group   func() (*cgroup.Group, error) // waits until it is there
	dir     string                        // of the overlay
}

// start makes a container's cgroup, its root, and its process.
func (g *ground) start(ctx context.Context, name string, spec *oci.Spec) (_ *container, err error) {
	c := &container{dir: g.dirs.Upper(record.NewID())}
	from := time.Now()
	lap := func(step string) {
		g.steps.add(step, time.Since(from))
		from = time.Now()
	}
	upper, work := filepath.Join(c.dir, "upper"), filepath.Join(c.dir, "work")
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	lap("directories of the overlay")
	c.group = sync.OnceValues(func() (*cgroup.Group, error) { return g.tree.Create(name, cgroup.Resources{}) })
	go c.group() // beside the rest, as in the runtime
	defer func() {
		if err != nil {
			err = errors.Join(err, c.end(ctx))
		}
	}()
	rootfs, err := linux.Overlay(linux.OverlayOptions{Lower: g.layers, Upper: upper, Work: work, Volatile: true})
	if err != nil {
		return nil, err
	}
	lap("overlay")
	defer func() { _ = rootfs.Close() }()
	c.process, err = g.native.Start(ctx, starter.Request{Key: filepath.Base(name), Spec: spec, Rootfs: rootfs, Cgroups: c.join, Bundle: c.dir})
	lap("clone to execve")
	return c, err
}

// end waits for the process' end and removes what start made.
func (c *container) end(ctx context.Context) error {
	if c.process != nil {
		if err := reap(c.process); err != nil {
			return err
		}
	}
	group, err := c.group()
	if err == nil {
		err = group.Remove(ctx)
	}
	return errors.Join(err, os.RemoveAll(c.dir))
}

// join opens the cgroup's files once it is there.
func (c *container) join() ([]*os.File, error) {
	group, err := c.group()
	if err != nil {
		return nil, err
	}
	return group.Join()
}

func reap(p *starter.Process) error {
	defer func() { _ = p.PIDFD.Close() }()
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(p.PID, &status, unix.WALL, nil)
		if err != unix.EINTR {
			return err
		}
	}
}

// barePod is what a Pod of two is to the kernel: an infra process with its namespaces, a veth, /dev/shm, and two containers.
type barePod struct {
	name       string
	infra      *starter.Process
	group      *cgroup.Group
	shm        string
	containers []*container
}

func (g *ground) pod(ctx context.Context, name string) (_ *barePod, err error) {
	p := &barePod{name: name, shm: filepath.Join(g.dir, "shm", name)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.remove(ctx))
		}
	}()
	if p.group, err = g.tree.Create(name, cgroup.Resources{}); err != nil {
		return p, err
	}
	netns, err := linux.NewNetns()
	if err != nil {
		return p, err
	}
	defer func() { _ = netns.Close() }()
	p.infra, err = g.native.Infra(ctx, starter.InfraRequest{Key: name, Name: name, Hostname: name, JoinNet: true, Netns: netns, NewIPC: true, NewUTS: true})
	if err != nil {
		return p, err
	}
	if err := p.mountShm(); err != nil {
		return p, err
	}
	ns := func(kind string) oci.Namespace { return oci.Join(fmt.Sprintf("/proc/%d/ns/%s", p.infra.PID, kind)) }
	for _, one := range []string{"one", "two"} {
		spec, err := g.spec(oci.Config{
			Args: []string{"sleep", "infinity"}, Hostname: name, ShmPath: p.shm,
			Namespaces: oci.Namespaces{Net: ns("net"), IPC: ns("ipc"), UTS: ns("uts")},
		})
		if err != nil {
			return p, err
		}
		c, err := g.start(ctx, name+"/"+one, spec)
		if err != nil {
			return p, err
		}
		p.containers = append(p.containers, c)
	}
	return p, nil
}

// veth gives the Pod's network namespace an end of a veth with two addresses, as Hull's network does.
func (p *barePod) veth(ctx context.Context, i int) error {
	host, pid := fmt.Sprintf("hb%d", i), strconv.Itoa(p.infra.PID)
	v4, v6 := fmt.Sprintf("10.89.%d.%d/32", 200+i/250, 1+i%250), fmt.Sprintf("fd89:bead::%x/128", i+1)
	for _, line := range []string{
		"link add " + host + " type veth peer name eth0 netns " + pid,
		"link set " + host + " up",
	} {
		if _, err := timed(exec.CommandContext(ctx, "ip", strings.Fields(line)...)); err != nil {
			return err
		}
	}
	inside := exec.CommandContext(ctx, "nsenter", "--target", pid, "--net", "ip", "-batch", "-")
	inside.Stdin = strings.NewReader("link set lo up\nlink set eth0 up\naddress add " + v4 + " dev eth0\naddress add " + v6 +
		" dev eth0\nroute add default dev eth0\n")
	_, err := timed(inside)
	return err
}

func (p *barePod) mountShm() error {
	if err := os.MkdirAll(p.shm, 0o755); err != nil {
		return err
	}
	m, err := linux.NewMount("tmpfs", "shm", 0, linux.KeyValue("size", "64m"))
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	return linux.AttachPath(m, p.shm)
}

func (p *barePod) remove(ctx context.Context) error {
	var errs []error
	for _, c := range p.containers {
		if c.process != nil {
			_ = linux.PidfdSignal(c.process.PIDFD, unix.SIGKILL)
		}
		errs = append(errs, c.end(ctx))
	}
	if p.infra != nil {
		_ = linux.PidfdSignal(p.infra.PIDFD, unix.SIGKILL)
		errs = append(errs, reap(p.infra))
	}
	if err := unix.Unmount(p.shm, unix.MNT_DETACH); err != nil && err != unix.EINVAL && err != unix.ENOENT {
		errs = append(errs, err)
	}
	errs = append(errs, os.RemoveAll(p.shm))
	if p.group != nil {
		errs = append(errs, p.group.Remove(ctx))
	}
	return errors.Join(errs...)
}
