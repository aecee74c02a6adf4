package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
	"github.com/hull-pods/hull/internal/undo"
)

var (
	fpStartCgroup  = failpoint.New("runtime.start.cgroup")
	fpStartPipes   = failpoint.New("runtime.start.pipes")
	fpStartKeep    = failpoint.New("runtime.start.keep")
	fpStartProcess = failpoint.New("runtime.start.process")
	fpStartLog     = failpoint.New("runtime.start.log")
	fpStartRunning = failpoint.New("runtime.start.running")
)

// startErrorCode is the exit code of a container whose command could not be run, as containerd and the kubelet report it.
const startErrorCode = 128

// StartContainer runs a created container's command, and returns after the execve. When that cannot be done, the
// container has ended with reason StartError, exit code 128 and the cause as its message, and the error is returned too.
func (r *Runtime) StartContainer(ctx context.Context, id string) error {
	c, err := r.container(id)
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	if st := c.status().State; st != ContainerCreated {
		return fmt.Errorf("start %s: it is %s: %w", c, st, errdefs.ErrFailedPrecondition)
	}
	if c.ready == nil || c.ready.spec == nil {
		if err := c.open(ctx); err != nil {
			return c.startFailed(err)
		}
	}
	err = c.start(ctx)
	close(c.started)
	c.mu.Lock()
	c.ready.close()
	c.ready = nil
	c.mu.Unlock()
	if err != nil {
		return c.startFailed(fmt.Errorf("start %s: %w", c, err))
	}
	return nil
}

// startFailed records a start that came to nothing.
func (c *container) startFailed(cause error) error {
	now := time.Now()
	err := c.update(func(rec *containerRecord) {
		st := &rec.Status
		st.State, st.StartedAt, st.EndedAt = ContainerExited, time.Time{}, now
		st.ExitCode, st.Reason, st.Message = startErrorCode, ReasonStartError, cause.Error()
	})
	close(c.ended)
	return errors.Join(cause, err)
}

// stdio is what a start gives to the process and keeps for itself.
type stdio struct {
	pipes logs.Pipes
	stdin *os.File // the container's end
}

func (c *container) start(ctx context.Context) (err error) {
	var back undo.Stack
	defer back.Run(ctx, &err)
	cgroups, err := c.startCgroup(ctx, &back)
	if err != nil {
		return err
	}
	defer closeAll(cgroups)
	io, err := c.startPipes(ctx, &back)
	if err != nil {
		return err
	}
	defer io.closeTheirs()
	if err := c.startProcess(ctx, &back, io, cgroups); err != nil {
		return err
	}
	if err := c.startLog(&back, io); err != nil {
		return err
	}
	if err := back.Push(fpStartRunning, "unmark running", func(context.Context) error { return nil }); err != nil {
		return err
	}
	if err := c.update(func(rec *containerRecord) {
		rec.Status.State, rec.Status.StartedAt = ContainerRunning, time.Now()
	}); err != nil {
		return err
	}
	back.Release()
	return nil
}

func (c *container) startCgroup(ctx context.Context, back *undo.Stack) ([]*os.File, error) {
	remove := func(ctx context.Context) error { return c.r.cfg.Cgroups.Load(c.cgroup()).Remove(ctx) }
	if err := back.Push(fpStartCgroup, "remove the cgroup", remove); err != nil {
		return nil, err
	}
	res := cgroupResources(c.config().Resources)
	res.Devices = cgroupRules(oci.RulesOf(c.spec))
	group, err := c.r.cfg.Cgroups.Create(c.cgroup(), res)
	if err != nil {
		return nil, err
	}
	return group.Join()
}
