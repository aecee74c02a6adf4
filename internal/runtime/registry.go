package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/keeper"
)

// registry is which sandboxes and containers there are, and whose each process is that the keeper has.
type registry struct {
	keeper *keeper.Client
	log    *slog.Logger

	mu         sync.Mutex // guards the maps, not what is in them
	sandboxes  map[string]*sandbox
	containers map[string]*container
	processes  map[string]exited // by the keeper's key
}

// exited is whoever wants to know that the process of a keeper's record has ended.
type exited interface{ processEnded(keeper.Exit) }

func newRegistry(k *keeper.Client, log *slog.Logger) *registry {
	return &registry{
		keeper: k, log: log,
		sandboxes: map[string]*sandbox{}, containers: map[string]*container{}, processes: map[string]exited{},
	}
}

func (r *registry) addSandbox(s *sandbox) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sandboxes[s.id], r.processes[s.key()] = s, s
}

func (r *registry) addContainer(c *container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.containers[c.id], r.processes[c.key()] = c, c
}

func (r *registry) dropSandbox(s *sandbox) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sandboxes, s.id)
	delete(r.processes, s.key())
}

func (r *registry) dropContainer(c *container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.containers, c.id)
	delete(r.processes, c.key())
}

func (r *registry) sandbox(id string) (*sandbox, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.sandboxes[id]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("sandbox %q: %w", id, errdefs.ErrNotFound)
}

func (r *registry) container(id string) (*container, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.containers[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("container %q: %w", id, errdefs.ErrNotFound)
}

func (r *registry) allSandboxes() []*sandbox {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.sandboxes))
}

func (r *registry) allContainers() []*container {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.containers))
}

// leave gives up a sandbox's part in its Pod's cgroup, and tells whether another one, a later or an earlier attempt, has one.
// Of several that go at the same time, the last one here has no other.
func (r *registry) leave(s *sandbox) (shared bool) {
	parent := s.config().CgroupParent
	r.mu.Lock()
	defer r.mu.Unlock()
	s.leaving = true
	for _, other := range r.sandboxes {
		if !other.leaving && other.config().CgroupParent == parent {
			return true
		}
	}
	return false
}

// IDs and Cgroups are by what leftovers are told from what has an owner.
func (r *registry) IDs(into map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.sandboxes {
		into[id] = true
	}
	for id := range r.containers {
		into[id] = true
	}
}

// Cgroups of a sandbox are its Pod's and those above it.
func (r *registry) Cgroups(into map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sandboxes {
		for p := s.config().CgroupParent; p != "." && p != "/" && p != ""; p = filepath.Dir(p) {
			into[p] = true
		}
	}
	for _, c := range r.containers {
		into[c.cgroup()] = true
	}
}

// watch has the end of a keeper's record told to p.
func (r *registry) watch(key string, p exited) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.processes[key] = p
}

// watched is who is told of the end of a keeper's record; nil for a stranger's.
func (r *registry) watched(key string) exited {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.processes[key]
}

// forget drops the keeper's record, and with it the descriptors that it holds. The key may be used again after that.
func (r *registry) forget(ctx context.Context, key string) {
	r.mu.Lock()
	delete(r.processes, key)
	r.mu.Unlock()
	if err := r.keeper.Forget(ctx, key); err != nil && ctx.Err() == nil {
		r.log.Warn("the keeper holds on to a record", "key", key, "err", err)
	}
}

// dispatch hands every exit that the keeper reports to the noun whose process it was.
func (r *registry) dispatch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-r.keeper.Exits():
			if !ok {
				return // the keeper has died, and hulld ends: see daemon
			}
			p := r.watched(e.Key)
			if p == nil {
				r.log.Debug("exit of a process that nobody waits for", "key", e.Key, "pid", e.PID)
				continue
			}
			p.processEnded(e)
		}
	}
}
