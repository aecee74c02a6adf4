package runtime

import (
	"context"
	"errors"
	"fmt"
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
		ran, err := a.ran(ctx)
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
		a.r.exits.Forget(ctx, c.key())
	case fate.Lost:
		return a.lost(ctx)
	case fate.Adopt:
		err := a.reopen(ctx)
		if err != nil && !errors.Is(err, errIncomplete) {
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

// errIncomplete says that the keeper has not got all of a container, and never will.
var errIncomplete = errors.New("the keeper holds too few descriptors of it")

// reopen takes back what hulld held of a running container: its log, its stdin, its pidfd.
func (a *containerAdoption) reopen(ctx context.Context) error {
	c, k := a.c, a.kept
	c.mu.Lock()
	c.rec.Status.PID = k.PID // in a shared PID namespace it is not on record; its exit is told by it
	c.mu.Unlock()
	fds := k.FDs
	k.FDs = nil
	tty := c.config().TTY
	ends := logs.Ends(tty)
	if len(fds) < ends {
		streams.CloseAll(fds)
		return fmt.Errorf("%w: %d, not %d", errIncomplete, len(fds), ends)
	}
	switch {
	case tty:
		own, err := streams.Duplicate(fds[ends-1])
		if err != nil {
			streams.CloseAll(fds)
			return err
		}
		c.held.TakeStdin(own)
	case len(fds) > ends:
		c.held.TakeStdin(fds[ends]) // our end of its input is kept behind the log's
	}
	fds = fds[:ends]
	if err := c.openLog(fds); err != nil {
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

// birthLimit is how long a birth may go on after hulld's death. Nothing in it waits, unless the kernel does.
const birthLimit = 10 * time.Second

// ran tells whether a container whose start is on record came to run its command: the hulld that wrote the record may have
// died before its process had all that it needed. One that then could not execute its command ends as if that had exited
// with status 1.
func (a *containerAdoption) ran(ctx context.Context) (bool, error) {
	c, k := a.c, a.kept
	w := fate.TakeWitness(k)
	defer w.Close()
	if c.in.config().Handler != "" {
		return true, nil // an OCI program leaves no word; it is on record when its create and start are done
	}
	ran, err := w.Testify(birthLimit)
	if err != nil {
		a.r.log.Warn("a container's birth does not come to its end", "container", c.id, "err", err)
		return false, fate.Kill(ctx, a.r.cfg.Keeper, k)
	}
	return ran, nil
}

// unstart makes a container a created one again that was being started when hulld died, and whose process, if there was one,
// never ran the command.
func (a *containerAdoption) unstart(ctx context.Context) error {
	c, k := a.c, a.kept
	streams.CloseAll(k.FDs)
	k.FDs = nil
	if k.PID != 0 && k.Exit == nil {
		if err := fate.Kill(ctx, a.r.cfg.Keeper, k); err != nil {
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
	return err
}
