package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/grip"
	"github.com/hull-pods/hull/internal/runtime/prepared"
	"github.com/hull-pods/hull/internal/runtime/process"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/rootfs"
	"github.com/hull-pods/hull/internal/runtime/spec"
)

// container is one container of a sandbox, from its creation to its removal. It runs at most once.
//
// What is done with it is an attempt, with a type of its own: [containerMaking], [containerStart], [containerRemoval],
// [containerAdoption], [execution].
type container struct {
	r    *Runtime
	id   string
	in   *sandbox
	held grip.Grip // while it runs

	op      sync.Mutex // held by the one operation that changes what the kernel has: create, start, remove
	givenUp bool       // guarded by op: it was given up before it ran, and cannot be started any more

	mu    sync.Mutex // guards what follows
	rec   record.Container
	ready *prepared.Prepared // what Start needs, between create and start
	// starting is set from the beginning of Start to its end, which it brings about. The record says "running" before the command
	// runs, others are told only when it does.
	starting context.CancelCauseFunc
	ending   bool // its exit has been seen

	gone    chan struct{} // closed when the first process is gone
	started chan struct{} // closed when Start has returned, so that an exit can be handled
	ended   chan struct{} // closed when it has ended: status, logs and cgroup say so
}

func (r *Runtime) newContainer(id string, in *sandbox, rec record.Container) *container {
	return &container{r: r, id: id, in: in, rec: rec, gone: make(chan struct{}), started: make(chan struct{}), ended: make(chan struct{})}
}

func (c *container) key() string { return record.KeyContainer + c.id }

func (c *container) status() ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.rec.Status
	if c.starting != nil {
		st.State, st.PID, st.StartedAt = ContainerCreated, 0, time.Time{}
	}
	return st
}

func (c *container) phase() record.Phase {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rec.Phase
}

func (c *container) config() *ContainerConfig {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &c.rec.Status.Config // never changed after CreateContainer took it
}

// String is how errors and logs speak of a container.
func (c *container) String() string {
	s := c.in.config()
	return fmt.Sprintf("container %q of Pod %s/%s", c.config().Name, s.Namespace, s.Name)
}

func (c *container) logPath() string {
	return filepath.Join(c.in.config().LogDirectory, c.config().LogPath)
}

func (c *container) cgroup() string {
	return filepath.Join(c.in.config().CgroupParent, c.id)
}

func (c *container) group() *cgroup.Group { return c.r.cfg.Cgroups.Load(c.cgroup()) }

func (c *container) upper() rootfs.Upper { return rootfs.Upper(c.r.dirs.Upper(c.id)) }

// update changes the record and writes it.
func (c *container) update(change func(*record.Container)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.rec)
	return record.Write(c.r.dirs.ContainerRecord(c.id), &c.rec)
}

// unrecord forgets the container: the last step of its removal.
func (c *container) unrecord() error {
	c.takePrepared().Close()
	// Not os.RemoveAll: an OCI program's bundle is in there, with a root and volumes in it if hulld died while they were mounted.
	if err := linux.RemoveTree(c.r.dirs.Container(c.id)); err != nil {
		return err // it is not forgotten: a directory without an owner is a leftover
	}
	c.r.all.dropContainer(c)
	return nil
}

// detach closes what we hold of a container. One that runs goes on.
func (c *container) detach() error {
	err := c.held.LetGo()
	c.takePrepared().Close()
	return err
}

// openLog writes the container's output to its log from now on: from our ends of its pipes, or from the keeper's
// duplicates of them after a restart.
func (c *container) openLog(ends []*os.File) error {
	w, err := c.r.collector.Open(logs.Config{
		Path: c.logPath(), State: filepath.Join(c.r.dirs.Container(c.id), "log"), TTY: c.config().TTY,
		MaxSize: c.r.cfg.LogMaxSize, MaxFiles: c.r.cfg.LogMaxFiles, OnDiskFull: c.logStalled,
	}, ends)
	if err != nil {
		return err
	}
	c.held.TakeLog(w)
	return nil
}

// logStalled tells that a container's output waits; why, and that it goes on, is in the log already.
func (c *container) logStalled(err error) {
	if err != nil {
		c.tell(LogStalled)
	}
}

// tell tells the owner what happened to the container.
func (c *container) tell(what EventType) {
	c.r.events.Put(c.in.config().Owner, Event{Type: what, SandboxID: c.in.id, ContainerID: c.id})
}

// keepPrepared has the container keep what waits for its start.
func (c *container) keepPrepared(p *prepared.Prepared) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = p
}

// takePrepared makes it the caller's, who closes it; nil when there is none.
func (c *container) takePrepared() *prepared.Prepared {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.ready
	c.ready = nil
	return p
}

func (c *container) makeSpec(img *image.ImageConfig, who process.Identity) (*oci.Spec, error) {
	return c.r.host.Make(spec.Container{
		Config: c.config(), Image: img, Who: who, Cgroup: c.group().Path(),
		Sandbox: spec.Sandbox{
			Config: c.in.config(), NameFiles: c.r.dirs.Sandbox(c.in.id), Shm: c.in.shm(), Namespace: c.in.namespace,
		},
	})
}

// respec is the spec of a container that has been started, made again from what is on record: it is as large as all else that
// would be kept of a container.
func (c *container) respec(ctx context.Context) (*oci.Spec, error) {
	c.mu.Lock()
	who := c.rec.Who
	c.mu.Unlock()
	img, err := c.r.cfg.Images.Get(ctx, c.config().ImageID)
	if err != nil {
		return nil, err
	}
	return c.makeSpec(&img.Config, who)
}
