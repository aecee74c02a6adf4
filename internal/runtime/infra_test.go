package runtime

import (
	"os"
	"testing"
	"time"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/runtime/making"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// TestEndBeforeHold: the keeper can tell the end of an infra process before its maker has its descriptor.
func TestEndBeforeHold(t *testing.T) {
	hulltest.NeedRoot(t)
	_, c := without(t, ContainerCreated)
	s := c.in
	if err := os.MkdirAll(s.r.dirs.Sandbox(s.id), 0o700); err != nil {
		t.Fatal(err)
	}
	pidfd, err := linux.PidfdOpen(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s.markEnded(time.Now())
	s.hold(pidfd, os.Getpid())
	if st := s.status(); st.PID != 0 || st.State != SandboxNotReady {
		t.Errorf("a sandbox that has ended is %s, with process %d", st.State, st.PID)
	}
	if pidfd.Close() == nil {
		t.Error("the descriptor of a process that has ended is kept")
	}
	if err := s.kill(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestSandboxThatEndsAsItBecomesReady: its end is on record a moment before those who wait for it are told, and with that it can never
// be ready.
func TestSandboxThatEndsAsItBecomesReady(t *testing.T) {
	r := &Runtime{dirs: record.Dirs{Root: t.TempDir(), State: t.TempDir()}}
	s := r.newSandbox(record.NewID(), record.Sandbox{Version: record.Version, Phase: record.Making}, making.Begun())
	if err := os.MkdirAll(r.dirs.Sandbox(s.id), 0o700); err != nil {
		t.Fatal(err)
	}
	s.rec.Status.EndedAt = time.Now()
	if err := (&sandboxMaking{s: s, r: r}).ready(t.Context()); err == nil || s.status().State == SandboxReady || s.phase() == record.Ready {
		t.Errorf("it is %s, %s: %v", s.status().State, s.phase(), err)
	}
}
