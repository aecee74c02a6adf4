package runtime

import (
	"context"
	"log/slog"
	"time"
)

// stopwatch says at level debug how long each step of something took. The bench makes a table of it.
type stopwatch struct {
	log    *slog.Logger
	of, id string
	last   time.Time
}

func newStopwatch(log *slog.Logger, of, id string) *stopwatch {
	return &stopwatch{log: log, of: of, id: id, last: time.Now()}
}

// lap ends a step, and begins the next.
func (w *stopwatch) lap(step string) {
	if !w.log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	now := time.Now()
	w.log.Debug("step done", "of", w.of, "id", w.id, "step", step, "took", now.Sub(w.last))
	w.last = now
}
