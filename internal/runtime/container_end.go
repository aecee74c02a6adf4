package runtime

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/runtime/process"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// drainLimit is how long an ended container's output may still be written out before its end is told. Its processes are
// dead, so that its pipes have an end; only a log disk that is full takes longer, and then the writing goes on behind: see outlast.
const drainLimit = 10 * time.Second

// ProcessEnded is the keeper's word that the first process is gone. It may come before Start has returned.
func (c *container) ProcessEnded(e keeper.Exit) {
	c.mu.Lock()
	if c.ending || e.PID != c.rec.Status.PID {
		c.mu.Unlock() // seen before; or of a process that never ran the command, from before hulld restarted
		return
	}
	c.ending = true
	c.mu.Unlock()
	close(c.gone)
	c.r.work.Go(func() {
		<-c.started
		if c.status().State != ContainerRunning {
			return // the start failed, and said so
		}
		ctx, cancel := context.WithTimeout(context.Background(), c.r.drainLimit)
		defer cancel()
		if err := c.finish(ctx, e); err != nil {
			c.r.log.Error("a container's end is not complete", "container", c.id, "err", err)
		}
	})
}

// finish turns an exit into the container's last state: nothing of it runs any more, every byte of its output is in the
// log, if that takes it, and the record says how it ended, before anyone is told.
func (c *container) finish(ctx context.Context, e keeper.Exit) error {
	var errs []error
	group := c.group()
	if cfg := c.in.config(); cfg.SharePID || cfg.HostPID {
		// Without a PID namespace of its own, the first process leaves its children behind, which hold the pipes.
		errs = append(errs, group.Kill(ctx))
	}
	unwritten := c.held.Written(ctx)
	oom, err := group.OOMKills()
	errs = append(errs, err)
	err = c.update(func(rec *record.Container) { rec.Status.SetExited(e.At, e.Status, oom > 0) })
	errs = append(errs, err, unwritten)
	forget := func() {
		if err == nil { // else the keeper has to know it, for the next hulld
			c.r.exits.Forget(context.Background(), c.key())
		}
	}
	if unwritten != nil {
		outlast(c, forget)
	} else {
		errs = append(errs, c.detach())
		forget()
	}
	close(c.ended)
	c.tell(ContainerEnded)
	return errors.Join(errs...)
}

// outlast lets go of a container that has ended when the last of its output is written. Until then it is in the pipes, which the
// keeper holds too. Who closes the log before removes the container, or ends hulld, and then the next one goes on.
func outlast(c *container, forget func()) {
	c.r.work.Go(func() {
		if err := c.held.Outlast(forget); err != nil {
			c.r.log.Error("what was held of a container is not let go of", "container", c.id, "err", err)
		}
	})
}

// StopContainer sends the stop signal, waits for as long as grace, then kills. It returns when the container has ended,
// and at once for one that does not run. A start that is under way comes to nothing.
func (r *Runtime) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	c, err := r.all.container(id)
	if err != nil {
		return err
	}
	if err := c.stop(ctx, grace); err != nil {
		return fmt.Errorf("stop %s: %w", c, err)
	}
	return nil
}

func (c *container) stop(ctx context.Context, grace time.Duration) error {
	if err := c.endStart(ctx); err != nil {
		return err
	}
	if c.status().State != ContainerRunning {
		return nil
	}
	if grace <= 0 {
		return c.kill(ctx)
	}
	if err := c.held.Signal(stopSignal(ctx, c)); err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := c.r.exits.Await(patience, c.ended); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return err
	}
	return c.kill(ctx)
}

// endStart ends a start that is under way, and waits until nothing is left of it, or it was over.
func (c *container) endStart(ctx context.Context) error {
	c.mu.Lock()
	end := c.starting
	c.mu.Unlock()
	if end == nil {
		return nil
	}
	end(fmt.Errorf("it is stopped: %w", errdefs.ErrFailedPrecondition))
	if err := c.r.exits.Await(ctx, c.started); err != nil {
		return fmt.Errorf("wait for the end of its start: %w", err)
	}
	return nil
}

// kill ends every process of the container, and waits until that is on record.
func (c *container) kill(ctx context.Context) error {
	if err := c.held.Signal(unix.SIGKILL); err != nil {
		return err
	}
	if err := c.group().Thaw(); err != nil {
		c.r.log.Warn("a container that is killed may be frozen", "container", c.id, "err", err)
	}
	if err := c.r.exits.Await(ctx, c.ended); err != nil {
		return fmt.Errorf("wait for its end: %w", err)
	}
	return nil
}

// stopSignal is the container's, the image's, or SIGTERM. An image that has been removed in spite of us says nothing, and one
// that names what is no signal does not keep its container from being stopped.
func stopSignal(ctx context.Context, c *container) unix.Signal {
	img, _ := c.r.cfg.Images.Get(ctx, c.config().ImageID)
	sig, err := process.StopSignal(c.config().StopSignal, img.Config.StopSignal)
	if err != nil {
		c.r.log.Warn("a container is stopped with SIGTERM", "container", c.id, "err", fmt.Errorf("stop signal: %w", err))
	}
	return sig
}
