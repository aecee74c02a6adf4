package runtime

import (
	"context"
	"errors"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// begin starts a container in the background. waits is closed when its process waits for the word to go on, and ended has what came of it.
func (w *world) begin(id string) (waits chan struct{}, ended chan error) {
	waits, ended = make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- w.StartContainer(context.Background(), id, Turn{Await: func(ctx context.Context) error {
			close(waits)
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-w.t.Context().Done():
				return nil
			}
		}})
	}()
	return waits, ended
}

// TestStopSandboxEndsStarts: what is being started while its sandbox is stopped does not outlive that, and nothing is created or started
// later; also in a sandbox that has only the host's namespaces.
func TestStopSandboxEndsStarts(t *testing.T) {
	if !underKeeper(t) {
		return
	}
	w := newWorld(t)
	for _, host := range []bool{false, true} {
		s := w.sandbox(func(c *SandboxConfig) { c.HostNetwork, c.HostIPC, c.HostPID = host, host, host })
		c, later := w.container(s), w.container(s)
		waits, ended := w.begin(c.ID)
		<-waits
		must(t, w.StopSandbox(t.Context(), s.ID))
		select {
		case err := <-ended:
			if !errors.Is(err, errdefs.ErrFailedPrecondition) {
				t.Errorf("the start: %v", err)
			}
		default:
			t.Error("the sandbox is stopped while a container starts in it")
		}
		if err := w.StartContainer(t.Context(), later.ID, Turn{}); !errors.Is(err, errdefs.ErrFailedPrecondition) {
			t.Errorf("a start after the stop: %v", err)
		}
		if _, err := w.CreateContainer(t.Context(), s.ID, w.sleeper()); !errors.Is(err, errdefs.ErrFailedPrecondition) {
			t.Errorf("a creation after the stop: %v", err)
		}
		for _, c := range w.Containers(s.ID) {
			if c.State != ContainerExited || c.Reason != ReasonStartError {
				t.Errorf("the container is %+v", c)
			}
		}
		must(t, w.RemoveSandbox(t.Context(), s.ID))
	}
}

// TestNothingToWaitFor: a start that waits for its turn ends with its process, with its sandbox, and with a stop or removal of the container.
func TestNothingToWaitFor(t *testing.T) {
	if !underKeeper(t) {
		return
	}
	w := newWorld(t)
	for name, end := range map[string]func(SandboxStatus, *container) error{
		"process": func(_ SandboxStatus, c *container) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			return unix.Kill(c.rec.Status.PID, unix.SIGKILL)
		},
		"infra":  func(s SandboxStatus, _ *container) error { return unix.Kill(s.PID, unix.SIGKILL) },
		"stop":   func(_ SandboxStatus, c *container) error { return w.StopContainer(t.Context(), c.id, 0) },
		"remove": func(_ SandboxStatus, c *container) error { return w.RemoveContainer(t.Context(), c.id) },
	} {
		t.Run(name, func(t *testing.T) {
			s := w.sandbox(nil)
			c, err := w.all.container(w.container(s).ID)
			must(t, err)
			waits, ended := w.begin(c.id)
			<-waits
			must(t, end(s, c))
			if err := <-ended; err == nil || c.status().State != ContainerExited {
				t.Errorf("%v, %+v", err, c.status())
			}
			must(t, w.RemoveSandbox(t.Context(), s.ID))
		})
	}
}

// TestGivenUp: who asked for a start and no longer wants it leaves nothing of it.
func TestGivenUp(t *testing.T) {
	if !underKeeper(t) {
		return
	}
	w := newWorld(t)
	s := w.sandbox(nil)
	c := w.container(s)
	ctx, cancel := context.WithCancel(t.Context())
	err := w.StartContainer(ctx, c.ID, Turn{Await: func(ctx context.Context) error {
		cancel()
		<-ctx.Done()
		return context.Cause(ctx)
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the start: %v", err)
	}
	if st, err := w.Container(c.ID); err != nil || st.State != ContainerCreated {
		t.Errorf("the container is %+v, %v", st, err)
	}
	if err := w.StartContainer(t.Context(), c.ID, Turn{}); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("a second start: %v", err)
	}
	must(t, w.RemoveContainer(t.Context(), c.ID))
}
