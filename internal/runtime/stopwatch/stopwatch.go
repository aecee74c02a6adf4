// Package stopwatch says at level debug how long each step of something took. The bench makes a table of it.
package stopwatch

import (
	"context"
	"log/slog"
	"time"
)

// Steps are the parts of what is done.
type Steps = []struct {
	Name string
	Do   func(context.Context) error
}

// Run does one step after the other, up to the first that fails: of the "start" of a container's ID, say.
func Run(ctx context.Context, log *slog.Logger, of, id string, steps Steps) error {
	last := time.Now()
	for _, s := range steps {
		if err := s.Do(ctx); err != nil {
			return err
		}
		if log.Enabled(ctx, slog.LevelDebug) {
			now := time.Now()
			log.Debug("step done", "of", of, "id", id, "step", s.Name, "took", now.Sub(last))
			last = now
		}
	}
	return nil
}
