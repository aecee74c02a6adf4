package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/api"
	"github.com/hull-pods/hull/internal/assets"
	"github.com/hull-pods/hull/internal/boltfile"
	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/pod"
	"github.com/hull-pods/hull/internal/pod/spec"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/starter"
	"github.com/hull-pods/hull/internal/starter/program"
	"github.com/hull-pods/hull/internal/store"
	"github.com/hull-pods/hull/internal/volume"
)

// daemon is hulld: its pieces, in the order in which they are made.
type daemon struct {
	cfg     *config
	log     *slog.Logger
	started time.Time
	stop    context.CancelCauseFunc

	keeper  *keeper.Client
	objects *store.Store
	cgroups *cgroup.Tree
	images  *image.Store
	network *network.Network
	starter *starter.Native
	volumes *volume.Volumes
	runtime *runtime.Runtime
	pods    *pod.Pods
	api     *api.Server
	socket  net.Listener

	purge   atomic.Bool    // on the way out, remove what was made for all Pods
	closers []func() error // the last made is closed first
}

// errStopped is the cause of an end that somebody asked for.
var errStopped = errors.New("asked to stop")

func run(ctx context.Context, cfg *config, log *slog.Logger) (err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d := &daemon{cfg: cfg, log: log, started: time.Now(), stop: stop}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(ctx); err != nil {
		d.purge.Store(d.unused(ctx))
		return err
	}
	return d.serve(ctx)
}

func (d *daemon) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	return errors.Join(errs...)
}

// unused tells whether no Pod has anything of what was made for all of them.
func (d *daemon) unused(ctx context.Context) bool {
	if d.network == nil {
		return false
	}
	owners, err := d.network.List(ctx)
	return err == nil && len(owners) == 0
}

// then registers a piece that was opened, to be closed in its turn.
func (d *daemon) then(c io.Closer) { d.closers = append(d.closers, c.Close) }

// makeLogRoot makes the directory of Pods' logs, which log collectors read. One that is there is the host's, and left as it is.
func makeLogRoot(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return linux.SpreadBelow(dir)
}

// open makes every piece. What is independent and slow is made side by side: hulld serves within 150 ms.
func (d *daemon) open(ctx context.Context) error {
	for _, dir := range []string{d.cfg.root, d.cfg.state} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return err
		}
	}
	if err := makeLogRoot(d.cfg.logs); err != nil {
		return err
	}
	if err := d.openKeeper(); err != nil {
		return err
	}
	var side errgroup.Group
	side.Go(func() error { return d.openObjects() })
	side.Go(func() error { return d.openImages(ctx) })
	side.Go(func() (err error) {
		d.network, err = network.Open(ctx, network.Config{
			Instance: d.cfg.instance(), IPv4: d.cfg.ipv4, IPv6: d.cfg.ipv6,
			StateDir: filepath.Join(d.cfg.state, "network"), Bury: d.bury, Log: d.log,
		})
		return err
	})
	side.Go(func() (err error) {
		d.cgroups, err = cgroup.Open(cgroups(d.cfg.instance(), d.log))
		return err
	})
	side.Go(func() (err error) {
		d.starter, err = starter.NewNative(starter.Config{Log: d.log})
		return err
	})
	err := side.Wait()
	d.closeOpened()
	if err != nil {
		return err
	}
	if err := d.openRuntime(ctx); err != nil {
		return err
	}
	if err := d.openToolbox(ctx); err != nil {
		if d.idle() {
			return err
		}
		d.log.Error("the toolbox image is not as this version has it; the Pods that run are worth more", "err", err)
	}
	return d.openAPI(ctx)
}

// closeOpened registers those of the pieces made side by side that came to be.
func (d *daemon) closeOpened() {
	if d.objects != nil {
		d.then(d.objects)
	}
	if d.images != nil {
		d.then(d.images)
	}
	if d.network != nil {
		d.closers = append(d.closers, d.closeNetwork)
	}
	if d.cgroups != nil {
		d.then(d.cgroups)
	}
	if d.starter != nil {
		d.closers = append(d.closers, func() error { d.starter.Close(); return nil })
	}
}

// closeNetwork leaves the Pods' network as it is, unless Hull stops for good.
func (d *daemon) closeNetwork() error {
	if d.purge.Load() {
		return d.network.Purge(context.Background())
	}
	return d.network.Close()
}

func (d *daemon) openObjects() error {
	path := filepath.Join(d.cfg.root, "objects.db")
	files := boltfile.Files{
		Paths: []string{path}, Log: d.log,
		WayOut: "put a copy of it back; if it is moved away instead, Hull begins with no Pods, and ends those that run",
	}
	return files.Open(func() (err error) {
		d.objects, err = store.Open(path, d.log)
		return err
	})
}

func (d *daemon) openImages(ctx context.Context) error {
	dir := filepath.Join(d.cfg.root, "images")
	files := boltfile.Files{
		Paths: []string{filepath.Join(dir, "meta.db"), filepath.Join(dir, "snapshots", "metadata.db")}, Log: d.log,
		WayOut: "put a copy of it back, or move " + dir + " away: images are pulled again, and what runs goes on",
	}
	return files.Open(func() (err error) {
		d.images, err = image.Open(ctx, image.Config{
			Root: dir, RegistryConfig: d.cfg.registryConfig, Stall: d.cfg.pullStall, Log: d.log,
		})
		return err
	})
}

func (d *daemon) openKeeper() error {
	number := os.Getenv(keeper.EnvFD)
	fd, err := strconv.Atoi(number)
	if err != nil {
		return errors.New("hulld is started by hull-keeper, its parent: run hull system start")
	}
	unix.CloseOnExec(fd)
	if err := os.Unsetenv(keeper.EnvFD); err != nil {
		return err
	}
	if d.keeper, err = keeper.Connect(os.NewFile(uintptr(fd), "keeper"), d.log); err != nil {
		return err
	}
	d.then(d.keeper)
	return nil
}

func (d *daemon) openToolbox(ctx context.Context) error {
	if _, ok := assets.Toolbox(); !ok {
		d.log.Debug("this build has no toolbox image")
		return nil
	}
	_, err := d.images.Builtin(ctx, assets.ToolboxName, assets.ToolboxVersion(), func() (io.ReadCloser, error) {
		r, _ := assets.Toolbox()
		return io.NopCloser(r), nil
	})
	return err
}

// idle tells whether no Pod has anything here.
func (d *daemon) idle() bool {
	return len(d.runtime.Sandboxes(runtime.OwnerAPI))+len(d.runtime.Sandboxes(runtime.OwnerCRI)) == 0
}

func (d *daemon) openRuntime(ctx context.Context) (err error) {
	starters, err := d.starters()
	if err != nil {
		return err
	}
	d.runtime, err = runtime.Open(ctx, runtime.Config{
		Instance: d.cfg.instance(), Root: d.cfg.root, State: d.cfg.state,
		Network: d.network, Images: d.images, Cgroups: d.cgroups, Keeper: d.keeper,
		Starters:   starters,
		LogMaxSize: d.cfg.logMaxSize, LogMaxFiles: d.cfg.logMaxFiles, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.then(d.runtime)
	d.volumes, err = volume.Open(volume.Config{
		Root: filepath.Join(d.cfg.root, "volumes"), State: filepath.Join(d.cfg.state, "volumes"), Log: d.log,
	})
	if err != nil {
		return err
	}
	d.pods = pod.New(pod.Config{
		Store: d.objects, Sandboxes: d.runtime, Containers: d.runtime, Images: d.images, Volumes: d.volumes,
		NodeName: d.cfg.nodeName, HostIPs: d.hostIPs, Blocked: func() ([]string, error) { return network.Blocked(d.network) }, Log: d.log,
		Options: spec.Options{
			LogRoot: d.cfg.logs, SeccompRoot: filepath.Join(d.cfg.root, "seccomp"), ClusterDomain: "cluster.local",
			PodMaxPIDs: d.cfg.podMaxPIDs, MemoryCapacity: memoryCapacity(), CgroupV2: d.cgroups.Unified(), CountsSwap: d.cgroups.CountsSwap(),
		},
	})
	return nil
}

// starters are who makes containers, by runtime handler: Hull itself, and the OCI programs of the command line.
func (d *daemon) starters() (map[string]starter.Starter, error) {
	all := map[string]starter.Starter{"": d.starter}
	for name, path := range d.cfg.runtimes {
		p, err := program.New(program.Config{
			Path: path, State: filepath.Join(record.Dirs{State: d.cfg.state}.Programs(), name), Log: d.log.With("runtime", name), Infra: d.starter,
		})
		if err != nil {
			return nil, fmt.Errorf("--runtime %s: %w", name, err)
		}
		all[name] = p
	}
	return all, nil
}

func memoryCapacity() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

func (d *daemon) openAPI(ctx context.Context) (err error) {
	d.api, err = api.New(api.Config{
		Store: d.objects, Node: d.cfg.nodeName, RuntimeClasses: slices.Sorted(maps.Keys(d.cfg.runtimes)), Version: api.Version{Hull: d.cfg.version},
		Runtime: containers{d.runtime}, Images: images{d.images, d.runtime}, System: system{d}, Sandboxes: sandboxes{d}, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.socket, err = listen(ctx, filepath.Join(d.cfg.state, "hull.sock"))
	return err
}

// serve runs until somebody stops it, or the keeper dies: without it exits go unseen, and the next hulld must find out
// what is left.
func (d *daemon) serve(ctx context.Context) error {
	collectOften()
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return d.pods.Run(ctx) })
	work.Go(func() error { return d.api.Serve(ctx, d.socket) })
	work.Go(func() error { giveBack(ctx, func() { store.Rest(d.objects) }); return nil })
	work.Go(func() error {
		if err := d.cgroups.Keep(); err != nil {
			d.log.Warn("the first Pods make their parents' cgroups themselves", "err", err)
		}
		return nil
	})
	work.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-d.keeper.Done():
			return errors.New("hull-keeper has died")
		}
	})
	if err := notify(); err != nil {
		d.log.Warn("systemd does not know that hulld serves", "err", err)
	}
	if err := d.keeper.Ready(); err != nil {
		d.stop(err)
	}
	d.log.Info("hulld serves", "root", d.cfg.root, "state", d.cfg.state, "instance", d.cfg.instance(),
		"after", time.Since(d.started).Round(time.Millisecond))
	return work.Wait()
}
