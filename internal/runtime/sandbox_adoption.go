package runtime

import (
	"context"
	"time"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/runtime/fate"
	"github.com/hull-pods/hull/internal/runtime/leftover"
)

// sandboxAdoption takes over the infra process from the keeper's record, or puts its end on record.
type sandboxAdoption struct {
	s    *sandbox
	r    *Runtime
	kept *keeper.Record // nil when the keeper has none
}

func (a *sandboxAdoption) run(ctx context.Context) error {
	s, k := a.s, a.kept
	switch {
	case k == nil || k.PID == 0:
		// No process was ever given a program, or the keeper that knew it is dead: then it may live, as nobody's child.
		if err := s.group().Thaw(); err != nil {
			return err
		}
		if err := leftover.KillNamed(ctx, s.infraName()); err != nil {
			return err
		}
		s.markEnded(time.Now())
	case k.Exit != nil:
		s.markEnded(k.Exit.At)
	default:
		fd, err := fate.Process(ctx, a.r.cfg.Keeper, k)
		if fd == nil {
			return err // it may live: the next hulld tries again
		}
		s.hold(fd, k.PID)
	}
	return nil
}
