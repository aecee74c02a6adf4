package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/runtime/fate"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

// containerAdoption takes over a container's process and log, or puts its end on record.
type containerAdoption struct {
	c    *container
	r    *Runtime
	kept *keeper.Record // nil when the keeper has none
}

func (a *containerAdoption) run(ctx context.Context) error {
	c, k := a.c, a.kept
	f := fate.Of(&c.rec, k)
	if f == fate.Adopt {
		ran, err := fate.Ran(ctx, a.r.cfg.Keeper, k, c.in.config().Handler != "", a.r.cfg.Cgroups.ThawProcess, a.r.log)
		if err != nil {
			return err
		}
		if !ran {
			f = fate.Unstart
		}
	}
	if f != fate.None && f != fate.Clear && f != fate.Unstart {
		close(c.started)
	}
	switch f {
	case fate.Clear:
		return a.clearCgroup(ctx)
	case fate.Unstart:
		return a.unstart(ctx)
	case fate.Ended:
		c.ending = true
		close(c.gone)
		close(c.ended)
		a.lastOutput(ctx)
	case fate.Lost:
		return a.lost(ctx)
	case fate.Adopt:
		err := a.reopen(ctx)
		if err != nil && !errors.Is(err, fate.ErrIncomplete) {
			return err // it may live: the next hulld tries again
		}
		if err != nil {
			// One that can never be taken over must not keep hulld from running the others.
			a.r.log.Error("a container cannot be taken over, and is killed", "container", c.id, "err", err)
			defer a.r.exits.Forget(ctx, c.key())
			return errors.Join(c.detach(), a.lost(ctx))
		}
		if k.Exit != nil {
			c.ProcessEnded(*k.Exit)
		}
	}
	return nil
}

// reopen takes back what hulld held of a running container: its log, its stdin, its pidfd.
func (a *containerAdoption) reopen(ctx context.Context) error {
	c, k := a.c, a.kept
	c.mu.Lock()
	c.rec.Status.PID = k.PID // in a shared PID namespace it is not on record; its exit is told by it
	c.mu.Unlock()
	tty := c.config().TTY
	ends, more, err := fate.TakeEnds(k, logs.Ends(tty))
	if err != nil {
		return err
	}
	switch {
	case tty:
		own, err := streams.Duplicate(ends[len(ends)-1])
		if err != nil {
			streams.CloseAll(ends)
			return err
		}
		c.held.TakeStdin(own)
		streams.CloseAll(more)
	case len(more) > 0:
		c.held.TakeStdin(more[0]) // our end of its input is kept behind the log's
	}
	if err := c.openLog(ends); err != nil {
		a.r.log.Error("a container's log cannot be opened; its output waits for the next hulld", "container", c.id, "err", err)
		c.logStalled(err)
	}
	if k.Exit != nil {
		return nil
	}
	fd, err := fate.Process(ctx, a.r.cfg.Keeper, k)
	if fd == nil {
		return err
	}
	c.held.TakeProcess(fd)
	return nil
}

// lastOutput has the end of an ended container's output written, if the keeper still holds it: hulld ended before it was.
func (a *containerAdoption) lastOutput(ctx context.Context) {
	c, k := a.c, a.kept
	if k != nil && c.phase() == record.Ready && !c.status().StartedAt.IsZero() {
		fate.TakeWitness(k).Close()
		ends, more, err := fate.TakeEnds(k, logs.Ends(c.config().TTY))
		streams.CloseAll(more)
		if err == nil {
			err = c.openLog(ends)
		}
		if err == nil {
			outlast(c, func() { a.r.exits.Forget(context.Background(), c.key()) })
			return
		}
		a.r.log.Error("the end of a container's output is lost", "container", c.id, "err", err)
	}
	a.r.exits.Forget(ctx, c.key())
}

// unstart makes a container a created one again that was being started when hulld died, and whose process, if there was one,
// never ran the command.
func (a *containerAdoption) unstart(ctx context.Context) error {
	c, k := a.c, a.kept
	streams.CloseAll(k.FDs)
	k.FDs = nil
	if k.PID != 0 && k.Exit == nil {
		if err := fate.Kill(ctx, a.r.cfg.Keeper, k, a.r.cfg.Cgroups.ThawProcess); err != nil {
			return err
		}
	}
	if err := a.clearCgroup(ctx); err != nil {
		return err
	}
	return errors.Join(c.update((*record.Container).Unstart), a.r.cfg.Keeper.Forget(ctx, c.key()))
}

func (a *containerAdoption) clearCgroup(ctx context.Context) error {
	group := a.c.group()
	return errors.Join(group.Kill(ctx), group.Remove(ctx))
}

// lost is the end of a container whose keeper died: what of it still runs is nobody's child, and is killed.
func (a *containerAdoption) lost(ctx context.Context) error {
	c := a.c
	if err := c.group().Kill(ctx); err != nil {
		return err
	}
	err := c.update(func(rec *record.Container) { rec.Status.SetLost(time.Now()) })
	c.ending = true
	close(c.gone)
	close(c.ended)
	return record.IfRoom(err) // the next hulld will find it lost, too
}
