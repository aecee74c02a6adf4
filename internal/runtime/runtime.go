package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/network"
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
	dir       layout
	log       *slog.Logger
	host      host
	collector *logs.Collector

	mu         sync.Mutex // guards the maps, not what is in them
	sandboxes  map[string]*sandbox
	containers map[string]*container
	processes  map[string]exited // by the keeper's key
	listeners  map[Owner]*mailbox

	work sync.WaitGroup // goroutines of ours
	stop context.CancelFunc
}

// exited is whoever wants to know that the process of a keeper's record has ended.
type exited interface{ processEnded(keeper.Exit) }

// Open recovers what an earlier hulld left: it adopts what runs, takes back what was half made, and removes what nobody
// owns. When it returns, every sandbox and container that the kernel has is one that [Runtime.Sandboxes] and
// [Runtime.Containers] list.
func Open(ctx context.Context, cfg Config) (_ *Runtime, err error) {
	r := &Runtime{
		cfg: cfg, dir: layout{root: cfg.Root, state: cfg.State}, log: cfg.Log,
		sandboxes: map[string]*sandbox{}, containers: map[string]*container{},
		processes: map[string]exited{}, listeners: map[Owner]*mailbox{},
	}
	if err := linux.PrivateDirs(r.dir.sandboxes(), r.dir.containers(), r.dir.uppers()); err != nil {
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	if err := makeMountPoints(r.dir.mountPoints()); err != nil {
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	if r.host, err = readHost(); err != nil {
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	if r.collector, err = logs.NewCollector(cfg.Log); err != nil {
		return nil, fmt.Errorf("open runtime: %w", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	if err := r.recover(ctx, run); err != nil {
		return nil, errors.Join(fmt.Errorf("recover the runtime's state: %w", err), r.Close())
	}
	return r, nil
}

// Close stops watching. What runs goes on, and the next Open finds it.
func (r *Runtime) Close() error {
	r.stop()
	r.mu.Lock()
	open := make([]*container, 0, len(r.containers))
	for _, c := range r.containers {
		open = append(open, c)
	}
	for _, m := range r.listeners {
		m.close()
	}
	r.mu.Unlock()
	var errs []error
	for _, c := range open {
		errs = append(errs, c.detach())
	}
	r.work.Wait()
	return errors.Join(append(errs, r.collector.Close())...)
}

// native is the starter of infra processes and of containers without a handler.
func (r *Runtime) native() starter.Starter { return r.cfg.Starters[""] }

// starterOf is the starter that a sandbox's handler names; RunSandbox has checked that there is one.
func (r *Runtime) starterOf(s *sandbox) starter.Starter { return r.cfg.Starters[s.config().Handler] }

// logStalled tells that a container's output waits; why, and that it goes on, is in the log already.
func (r *Runtime) logStalled(c *container, err error) {
	if err != nil {
		r.emit(c.in.config().Owner, Event{Type: LogStalled, SandboxID: c.in.id, ContainerID: c.id})
	}
}

// dispatch hands every exit that the keeper reports to the noun whose process it was.
func (r *Runtime) dispatch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-r.cfg.Keeper.Exits():
			if !ok {
				return // the keeper has died, and hulld ends: see daemon
			}
			r.mu.Lock()
			p := r.processes[e.Key]
			r.mu.Unlock()
			if p == nil {
				r.log.Debug("exit of a process that nobody waits for", "key", e.Key, "pid", e.PID)
				continue
			}
			p.processEnded(e)
		}
	}
}

func (r *Runtime) watch(key string, p exited) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.processes[key] = p
}

// forget drops the keeper's record, and with it the descriptors that it holds. The key may be used again after that.
func (r *Runtime) forget(ctx context.Context, key string) {
	r.mu.Lock()
	delete(r.processes, key)
	r.mu.Unlock()
	if err := r.cfg.Keeper.Forget(ctx, key); err != nil && ctx.Err() == nil {
		r.log.Warn("the keeper holds on to a record", "key", key, "err", err)
	}
}

func (r *Runtime) sandbox(id string) (*sandbox, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sandboxes[id]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("sandbox %q: %w", id, errdefs.ErrNotFound)
}

func (r *Runtime) container(id string) (*container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.containers[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("container %q: %w", id, errdefs.ErrNotFound)
}

// Sandbox is one sandbox as it is now; errdefs.ErrNotFound when there is none.
func (r *Runtime) Sandbox(id string) (SandboxStatus, error) {
	s, err := r.sandbox(id)
	if err != nil {
		return SandboxStatus{}, err
	}
	return s.status(), nil
}

// Sandboxes lists an owner's sandboxes, the oldest first.
func (r *Runtime) Sandboxes(owner Owner) []SandboxStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []SandboxStatus
	for _, s := range r.sandboxes {
		if st := s.status(); st.Config.Owner == owner {
			list = append(list, st)
		}
	}
	slices.SortFunc(list, func(a, b SandboxStatus) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list
}

// Container is one container as it is now; errdefs.ErrNotFound when there is none.
func (r *Runtime) Container(id string) (ContainerStatus, error) {
	c, err := r.container(id)
	if err != nil {
		return ContainerStatus{}, err
	}
	return c.status(), nil
}

// Containers lists the containers of one sandbox, the oldest first.
func (r *Runtime) Containers(sandboxID string) []ContainerStatus {
	members := r.members(sandboxID)
	list := make([]ContainerStatus, len(members))
	for i, c := range members {
		list[i] = c.status()
	}
	slices.SortFunc(list, func(a, b ContainerStatus) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list
}

func (r *Runtime) members(sandboxID string) []*container {
	s, err := r.sandbox(sandboxID)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.containers)
}
