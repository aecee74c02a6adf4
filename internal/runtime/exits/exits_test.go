package exits

import (
	"context"
	"log/slog"
	"testing"

	"github.com/hull-pods/hull/internal/keeper"
)

type watcher struct{ told []keeper.Exit }

func (w *watcher) ProcessEnded(e keeper.Exit) { w.told = append(w.told, e) }

func TestWatchers(t *testing.T) {
	x := New(nil, slog.New(slog.DiscardHandler))
	first, second := &watcher{}, &watcher{}
	x.Watch("c/1", first)
	x.Watch("c/2", first)
	x.Watch("c/1", second) // a later attempt takes over
	x.Unwatch("c/2")
	if x.Watcher("c/1") != second || x.Watcher("c/2") != nil || x.Watcher("c/3") != nil {
		t.Errorf("the watchers are %v, %v, %v", x.Watcher("c/1"), x.Watcher("c/2"), x.Watcher("c/3"))
	}
}

// TestWhatHasEnded is told to those, too, who have no time left to wait.
func TestWhatHasEnded(t *testing.T) {
	x := New(nil, slog.New(slog.DiscardHandler))
	ended := make(chan struct{})
	close(ended)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := x.Await(ctx, ended); err != nil {
		t.Error(err)
	}
}
