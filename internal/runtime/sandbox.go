package runtime

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
)

// sandbox is one Pod's shared namespaces and cgroup. Its infra process holds the namespaces; it is ready as long as that
// process lives.
type sandbox struct {
	r  *Runtime
	id string

	op sync.Mutex // held by the one operation that changes what the kernel has: run, stop, remove

	leaving bool // it has no part in the Pod's cgroup any more; guarded by r.mu

	mu         sync.Mutex // guards what follows
	rec        sandboxRecord
	pidfd      *os.File
	containers []*container

	ended chan struct{} // closed when the infra process has ended
	once  sync.Once
}

func (r *Runtime) newSandbox(id string, rec sandboxRecord) *sandbox {
	s := &sandbox{r: r, id: id, rec: rec, ended: make(chan struct{})}
	r.mu.Lock()
	r.sandboxes[id] = s
	r.processes[s.key()] = s
	r.mu.Unlock()
	return s
}

func (s *sandbox) key() string { return keySandbox + s.id }

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

// update changes the record and writes it.
func (s *sandbox) update(change func(*sandboxRecord)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.rec)
	return writeRecord(s.r.dir.sandboxRecord(s.id), &s.rec)
}

// processEnded is the keeper's word that the infra process is gone, and with it everything that it held together.
func (s *sandbox) processEnded(e keeper.Exit) {
	s.markEnded(e.At)
	s.r.emit(s.config().Owner, Event{Type: SandboxEnded, SandboxID: s.id})
}

func (s *sandbox) markEnded(at time.Time) {
	s.once.Do(func() {
		err := s.update(func(rec *sandboxRecord) {
			rec.Status.State, rec.Status.EndedAt, rec.Status.PID = SandboxNotReady, at, 0
		})
		if err != nil {
			s.r.log.Error("the end of a sandbox is not on record", "sandbox", s.id, "err", err)
		}
		s.mu.Lock()
		if s.pidfd != nil {
			_ = s.pidfd.Close()
			s.pidfd = nil
		}
		s.mu.Unlock()
		close(s.ended)
	})
}

// kill ends the infra process and waits until it is gone.
func (s *sandbox) kill(ctx context.Context) error {
	s.mu.Lock()
	var err error
	if s.pidfd != nil {
		err = unix.PidfdSendSignal(int(s.pidfd.Fd()), unix.SIGKILL, nil, 0)
	}
	s.mu.Unlock()
	if err != nil && err != unix.ESRCH {
		return fmt.Errorf("kill the infra container of %s: %w", s, err)
	}
	select {
	case <-s.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of the infra container of %s: %w", s, ctx.Err())
	}
}

// namespace is the path by which others join one of the sandbox's namespaces. The infra process is alive and ours, so its
// PID cannot have been given to another.
func (s *sandbox) namespace(name string) string {
	return fmt.Sprintf("/proc/%d/ns/%s", s.status().PID, name)
}

func (s *sandbox) add(c *container) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rec.Phase != phaseReady {
		return fmt.Errorf("%s is being removed", s.rec.Status.Config.Name)
	}
	s.containers = append(s.containers, c)
	return nil
}

func (s *sandbox) drop(c *container) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.containers {
		if other == c {
			s.containers = append(s.containers[:i], s.containers[i+1:]...)
			return
		}
	}
}
