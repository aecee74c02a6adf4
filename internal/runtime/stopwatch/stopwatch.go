// Package stopwatch says at level debug how long each step of something took. The bench makes a table of it.
package stopwatch

import (
	"context"
	"log/slog"
	"time"
)

// Watch takes the time of one thing that is done.
type Watch struct {
	log    *slog.Logger
	of, id string
	last   time.Time
}

// Start starts it: "start" of a container's ID.
func Start(log *slog.Logger, of, id string) *Watch {
	return &Watch{log: log, of: of, id: id, last: time.Now()}
}

// Lap ends a step, and begins the next.
func (w *Watch) Lap(step string) {
	if !w.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	now := time.Now()
	w.log.Debug("step done", "of", w.of, "id", w.id, "step", step, "took", now.Sub(w.last))
	w.last = now
}
