package cgroup

import (
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
