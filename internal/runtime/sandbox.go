package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/runtime/making"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// sandbox is one Pod's shared namespaces and cgroup. Its infra process holds the namespaces; it is ready as long as that
// process lives. How it is made is [sandboxMaking], how it is taken over after a restart [sandboxAdoption].
type sandbox struct {
	r  *Runtime
	id string

	op sync.Mutex // held by the one operation that changes what the kernel has: run, stop, remove

	leaving bool // it has no part in the Pod's cgroup any more; guarded by the registry

	mu         sync.Mutex // guards what follows
	rec        record.Sandbox
	pidfd      *os.File
	containers []*container

	ended chan struct{} // closed when the infra process has ended
	once  sync.Once

	// over ends, with the reason as its cause, when no container starts in it any more: with the infra process, or with a stop.
	over   context.Context
	finish context.CancelCauseFunc

	making *making.Making
}

func (r *Runtime) newSandbox(id string, rec record.Sandbox, m *making.Making) *sandbox {
	s := &sandbox{r: r, id: id, rec: rec, ended: make(chan struct{}), making: m}
	s.over, s.finish = context.WithCancelCause(context.Background())
	return s
}

var (
	errInfraEnded = fmt.Errorf("the infra container has ended: %w", errdefs.ErrFailedPrecondition)
	errStopping   = fmt.Errorf("the sandbox is stopped: %w", errdefs.ErrFailedPrecondition)
)

func (s *sandbox) key() string { return record.KeySandbox + s.id }

func (s *sandbox) status() SandboxStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rec.Status
}

func (s *sandbox) config() *SandboxConfig {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &s.rec.Status.Config // never changed after RunSandbox took it
}

// String is how errors and logs speak of a sandbox.
func (s *sandbox) String() string {
	c := s.config()
	return fmt.Sprintf("sandbox %s of Pod %s/%s", s.id[:12], c.Namespace, c.Name)
}

func (s *sandbox) phase() record.Phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rec.Phase
}

func (s *sandbox) members() []*container {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.containers)
}

func (s *sandbox) group() *cgroup.Group { return s.r.cfg.Cgroups.Load(s.config().CgroupParent) }

// update changes the record and writes it.
func (s *sandbox) update(change func(*record.Sandbox)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.rec)
	return record.Write(s.r.dirs.SandboxRecord(s.id), &s.rec)
}

// shm is the Pod's /dev/shm: its own, unless it shares the host's.
func (s *sandbox) shm() string {
	if s.config().HostIPC {
		return "/dev/shm"
	}
	return s.r.dirs.Shm(s.id)
}

// unrecord forgets the sandbox: the last step of its removal.
func (s *sandbox) unrecord() error {
	if err := linux.RemoveTree(s.r.dirs.Sandbox(s.id)); err != nil {
		return err // it is not forgotten: a directory without an owner is a leftover
	}
	s.r.all.dropSandbox(s)
	return nil
}

// removeCgroup removes the Pod's cgroup unless another sandbox of the same Pod is in it.
func (s *sandbox) removeCgroup(ctx context.Context) error {
	if s.r.all.leave(s) {
		return nil
	}
	return errors.Join(s.group().Remove(ctx), s.group().Prune())
}

// add takes a container in that has been made. A stop ends what is in the sandbox by then; what comes later is refused.
func (s *sandbox) add(c *container) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over.Err() != nil {
		return context.Cause(s.over)
	}
	if s.rec.Phase != record.Ready {
		return fmt.Errorf("%s is being removed", s.rec.Status.Config.Name)
	}
	s.containers = append(s.containers, c)
	return nil
}

func (s *sandbox) drop(c *container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.containers = slices.DeleteFunc(s.containers, func(other *container) bool { return other == c })
}
