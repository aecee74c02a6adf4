package runtime

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/runtime/exits"
)

// registry is which sandboxes and containers there are.
type registry struct {
	exits *exits.Exits

	mu         sync.Mutex // guards the maps, not what is in them
	sandboxes  map[string]*sandbox
	containers map[string]*container
}

func newRegistry(x *exits.Exits) *registry {
	return &registry{exits: x, sandboxes: map[string]*sandbox{}, containers: map[string]*container{}}
}

func (r *registry) addSandbox(s *sandbox) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sandboxes[s.id] = s
	r.exits.Watch(s.key(), s)
}

func (r *registry) addContainer(c *container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.containers[c.id] = c
	r.exits.Watch(c.key(), c)
}

func (r *registry) dropSandbox(s *sandbox) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sandboxes, s.id)
	r.exits.Unwatch(s.key())
}

func (r *registry) dropContainer(c *container) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.containers, c.id)
	r.exits.Unwatch(c.key())
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
