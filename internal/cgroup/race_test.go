package cgroup

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
)

// TestGroupsAtOnce is for the race detector: the first limits of all are set by several at once.
func TestGroupsAtOnce(t *testing.T) {
	hulltest.NeedRoot(t)
	tree, err := Open(Config{Parent: "hull-" + hulltest.Instance(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			g, err := tree.Create(fmt.Sprint("at-once-", i), Resources{CPUShares: 512})
			if err != nil {
				t.Error(err)
				return
			}
			if err := g.Remove(t.Context()); err != nil {
				t.Error(err)
			}
			if err := g.Prune(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// TestLimitsBelowAGroupWithout: on v2 a group must pass its controllers on, and one that was made for itself does not yet.
func TestLimitsBelowAGroupWithout(t *testing.T) {
	hulltest.NeedRoot(t)
	tree, err := Open(Config{Parent: "hull-" + hulltest.Instance(t), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	pod, err := tree.Create("pod", Resources{})
	if err != nil {
		t.Fatal(err)
	}
	container, err := tree.Create("pod/container", Resources{CPUShares: 512, Memory: 64 << 20})
	if err != nil {
		t.Error(err)
	} else if err := container.Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if err := errors.Join(pod.Remove(t.Context()), pod.Prune()); err != nil {
		t.Error(err)
	}
}
