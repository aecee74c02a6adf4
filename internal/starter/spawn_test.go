package starter

import (
	"log/slog"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

// TestCloseBeforeClone: hulld ends while a client begins to execute something. That fails, and nothing panics.
func TestCloseBeforeClone(t *testing.T) {
	hulltest.NeedRoot(t)
	n, err := NewNative(Config{Log: slog.New(slog.DiscardHandler), Own: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := n.spawner(bare)
	if err != nil {
		t.Fatal(err)
	}
	n.Close()
	if _, err := s.clone(order{name: "hull-init", flags: unix.CLONE_NEWNS}); !errdefs.IsUnavailable(err) {
		t.Errorf("a closed thread's clone: %v", err)
	}
	if _, err := n.Infra(t.Context(), InfraRequest{Key: "s", Name: "hull-infra", NewIPC: true}); !errdefs.IsUnavailable(err) {
		t.Errorf("a closed starter's start: %v", err)
	}
}
