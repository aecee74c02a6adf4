package runtime

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/shm"
)

var (
	fpStopContainers = failpoint.New("runtime.stop.containers")
	fpStopNetwork    = failpoint.New("runtime.stop.network")
	fpStopInfra      = failpoint.New("runtime.stop.infra")
	fpStopShm        = failpoint.New("runtime.stop.shm")

	fpRemoveMembers = failpoint.New("runtime.remove.members")
	fpRemoveSandbox = failpoint.New("runtime.remove.sandbox")
)

// StopSandbox kills what runs in a sandbox, or is being started in it, and gives back its network. It may be called again, and
// after a crash of the infra container; an ID that is not known is no error.
func (r *Runtime) StopSandbox(ctx context.Context, id string) error {
	s, err := r.all.sandbox(id)
	if err != nil {
		return nil
	}
	s.op.Lock()
	defer s.op.Unlock()
	if err := s.stop(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", s, err)
	}
	return nil
}

func (s *sandbox) stop(ctx context.Context) error {
	if err := fpStopContainers.Hit(); err != nil {
		return err
	}
	s.finish(errStopping)
	var all errgroup.Group
	for _, c := range s.members() {
		all.Go(func() error {
			if err := c.stop(ctx, 0); err != nil {
				return fmt.Errorf("%s: %w", c, err)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	if err := fpStopInfra.Hit(); err != nil {
		return err
	}
	if err := s.kill(ctx); err != nil {
		return err
	}
	s.r.exits.Forget(ctx, s.key())
	if err := fpStopNetwork.Hit(); err != nil {
		return err
	}
	// The namespace goes with the infra process, and takes the veth along: nobody needs to wait for that.
	if err := s.r.cfg.Network.Release(ctx, s.id); err != nil {
		return err
	}
	if err := fpStopShm.Hit(); err != nil {
		return err
	}
	return shm.Unmount(s.r.dirs.Shm(s.id)) // there is none with the host's
}

// RemoveSandbox stops a sandbox and removes it with all of its containers. An ID that is not known is no error.
func (r *Runtime) RemoveSandbox(ctx context.Context, id string) error {
	s, err := r.all.sandbox(id)
	if err != nil {
		return nil
	}
	s.op.Lock()
	defer s.op.Unlock()
	if err := s.remove(ctx); err != nil {
		return fmt.Errorf("remove %s: %w", s, err)
	}
	return nil
}

func (s *sandbox) remove(ctx context.Context) error {
	if err := record.IfRoom(s.update(func(rec *record.Sandbox) { rec.Phase = record.Removed })); err != nil {
		return err
	}
	if err := s.stop(ctx); err != nil {
		return err
	}
	if err := fpRemoveMembers.Hit(); err != nil {
		return err
	}
	var all errgroup.Group
	for _, c := range s.members() {
		all.Go(func() error { return s.r.RemoveContainer(ctx, c.id) })
	}
	if err := all.Wait(); err != nil {
		return err
	}
	if err := fpRemoveSandbox.Hit(); err != nil {
		return err
	}
	if err := s.removeCgroup(ctx); err != nil {
		return err // what has no record is not tried again
	}
	return s.unrecord()
}
