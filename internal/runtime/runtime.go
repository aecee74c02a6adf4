package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/network/ready"
	"github.com/hull-pods/hull/internal/runtime/exits"
	"github.com/hull-pods/hull/internal/runtime/leftover"
	"github.com/hull-pods/hull/internal/runtime/outbox"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/rootfs"
	"github.com/hull-pods/hull/internal/runtime/spec"
	"github.com/hull-pods/hull/internal/starter"
)

// Config is what a Runtime is made of. All of it stays the caller's to close, after [Runtime.Close].
type Config struct {
	Instance    string // eight hex digits: which Hull of this machine
	Root, State string // directories

	Network  *network.Network
	Images   *image.Store
	Cgroups  *cgroup.Tree
	Keeper   *keeper.Client
	Starters map[string]starter.Starter // by runtime handler; "" is the native one

	LogMaxSize  int64 // a container's log is rotated at this size; 0 is the kubelet's 10 MiB
	LogMaxFiles int   // and so many files are kept; 0 is the kubelet's 5
	Log         *slog.Logger
}

// Runtime holds every sandbox and container of one Hull. It is safe for concurrent use.
type Runtime struct {
	cfg       Config
	dirs      record.Dirs
	log       *slog.Logger
	host      *spec.Host
	collector *logs.Collector
	all       *registry
	exits     *exits.Exits
	events    outbox.Outbox[Owner, Event]

	namespaces *ready.Namespaces
	drainLimit time.Duration

	work sync.WaitGroup // goroutines of ours
	stop context.CancelFunc
}

// Open recovers what an earlier hulld left: it adopts what runs, takes back what was half made, and removes what nobody
// owns. When it returns, every sandbox and container that the kernel has is one that [Runtime.Sandboxes] and
// [Runtime.Containers] list.
func Open(ctx context.Context, cfg Config) (_ *Runtime, err error) {
	r := &Runtime{
		cfg: cfg, dirs: record.Dirs{Root: cfg.Root, State: cfg.State}, log: cfg.Log,
		exits: exits.New(cfg.Keeper, cfg.Log), drainLimit: drainLimit,
	}
	r.all = newRegistry(r.exits)
	if err := linux.PrivateDirs(r.dirs.Sandboxes(), r.dirs.Containers(), r.dirs.Uppers()); err != nil {
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	if err := linux.SpreadBelow(r.dirs.Uppers(), r.dirs.UpperTops()...); err != nil {
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	if err := rootfs.MakeMountPoints(r.dirs.MountPoints()); err != nil {
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	if r.host, err = spec.ReadHost(cfg.Cgroups.Unified()); err != nil {
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	if r.collector, err = logs.NewCollector(cfg.Log); err != nil {
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	r.namespaces = ready.Open()
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	if err := r.recover(ctx, run); err != nil {
		return nil, errors.Join(fmt.Errorf("recover the runtime's state: %w", err), r.Close())
	}
	r.namespaces.Refill()
	return r, nil
}

// Close stops watching. What runs goes on, and the next Open finds it.
func (r *Runtime) Close() error {
	r.stop()
	r.events.Close()
	r.namespaces.Close()
	var errs []error
	for _, c := range r.all.allContainers() {
		errs = append(errs, c.detach())
	}
	r.work.Wait()
	return errors.Join(append(errs, r.collector.Close())...)
}

// native is the starter of infra processes and of containers without a handler.
func (r *Runtime) native() starter.Starter { return r.cfg.Starters[""] }

// starterOf is the starter that a sandbox's handler names. There was one when the sandbox was run; hulld may have been started
// with other handlers since.
func (r *Runtime) starterOf(s *sandbox) (starter.Starter, error) {
	name := s.config().Handler
	if st := r.cfg.Starters[name]; st != nil {
		return st, nil
	}
	return nil, fmt.Errorf("runtime handler %q is not configured any more: %w", name, errdefs.ErrFailedPrecondition)
}

// Sandbox is one sandbox as it is now; errdefs.ErrNotFound when there is none.
func (r *Runtime) Sandbox(id string) (SandboxStatus, error) {
	s, err := r.all.sandbox(id)
	if err != nil {
		return SandboxStatus{}, err
	}
	return s.status(), nil
}

// Sandboxes lists an owner's sandboxes, the oldest first.
func (r *Runtime) Sandboxes(owner Owner) []SandboxStatus {
	var list []SandboxStatus
	for _, s := range r.all.allSandboxes() {
		if st := s.status(); st.Config.Owner == owner {
			list = append(list, st)
		}
	}
	slices.SortFunc(list, func(a, b SandboxStatus) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list
}

// Container is one container as it is now; errdefs.ErrNotFound when there is none.
func (r *Runtime) Container(id string) (ContainerStatus, error) {
	c, err := r.all.container(id)
	if err != nil {
		return ContainerStatus{}, err
	}
	return c.status(), nil
}

// Containers lists the containers of one sandbox, the oldest first.
func (r *Runtime) Containers(sandboxID string) []ContainerStatus {
	s, err := r.all.sandbox(sandboxID)
	if err != nil {
		return []ContainerStatus{}
	}
	members := s.members()
	list := make([]ContainerStatus, len(members))
	for i, c := range members {
		list[i] = c.status()
	}
	slices.SortFunc(list, func(a, b ContainerStatus) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list
}

// Events tells an owner what happened to its sandboxes; each event is a hint to look at the status. There is one reader
// an owner: a second call takes over from the first, whose channel closes. The channel closes with the Runtime.
func (r *Runtime) Events(owner Owner) <-chan Event { return r.events.Open(owner) }

// Leftovers lists what carries this instance, in the kernel or on disk, and belongs to no sandbox on record; on a healthy Hull
// there is nothing.
func (r *Runtime) Leftovers(ctx context.Context) ([]Leftover, error) { return r.search().List(ctx) }

// search is for what nobody owns.
func (r *Runtime) search() *leftover.Search {
	return &leftover.Search{Instance: r.cfg.Instance, Dirs: r.dirs, Cgroups: r.cfg.Cgroups, Network: r.cfg.Network, Owners: r.all}
}
