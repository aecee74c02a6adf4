package runtime

import (
	"context"
	"fmt"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/runtime/record"
)

var (
	fpRemoveProcess = failpoint.New("runtime.remove.process")
	fpRemoveCgroup  = failpoint.New("runtime.remove.cgroup")
	fpRemoveUpper   = failpoint.New("runtime.remove.upper")
	fpRemoveLayers  = failpoint.New("runtime.remove.layers")
	fpRemoveRecord  = failpoint.New("runtime.remove.record")
)

// RemoveContainer removes a container, and kills it first if it runs. Its log stays. An ID that is not known is no error.
func (r *Runtime) RemoveContainer(ctx context.Context, id string) error {
	c, err := r.all.container(id)
	if err != nil {
		return nil
	}
	if err := c.endStart(ctx); err != nil {
		return fmt.Errorf("remove %s: %w", c, err)
	}
	c.op.Lock()
	defer c.op.Unlock()
	if err := (&containerRemoval{c: c, r: r}).run(ctx); err != nil {
		return fmt.Errorf("remove %s: %w", c, err)
	}
	return nil
}

// containerRemoval is also how start-up goes on with a removal that a crash cut off: every step accepts that it was done before.
type containerRemoval struct {
	c *container
	r *Runtime
}

func (m *containerRemoval) run(ctx context.Context) error {
	c := m.c
	if err := c.stop(ctx, 0); err != nil {
		return err
	}
	if err := record.IfRoom(c.update(func(rec *record.Container) { rec.Phase = record.Removed })); err != nil {
		return err
	}
	if err := c.detach(); err != nil { // its log, that is, which may wait for room
		return err
	}
	for _, step := range []func() error{
		fpRemoveProcess.Hit,
		func() error { return m.unmake(ctx) },
		fpRemoveCgroup.Hit,
		func() error { return c.group().Remove(ctx) },
		fpRemoveUpper.Hit,
		c.upper().Remove,
		fpRemoveLayers.Hit,
		func() error { return m.r.cfg.Images.Release(ctx, c.id) },
		fpRemoveRecord.Hit,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	kept := m.r.exits.Watcher(c.key()) != nil // its end is not on record, or its output not written, so the keeper has it still
	if err := c.unrecord(); err != nil {
		return err
	}
	c.in.drop(c)
	if kept {
		m.r.exits.Forget(ctx, c.key())
	}
	return nil
}

// unmake has the starter remove what it keeps of the container. One that is not configured any more cannot, and that does not keep
// a container for ever.
func (m *containerRemoval) unmake(ctx context.Context) error {
	maker, err := m.r.starterOf(m.c.in)
	if err != nil {
		m.r.log.Warn("what its starter keeps of a container stays", "container", m.c.id, "err", err)
		return nil
	}
	return maker.Delete(ctx, m.c.id, m.r.dirs.Container(m.c.id))
}
