package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/streams"
	"github.com/hull-pods/hull/internal/starter"
	"github.com/hull-pods/hull/internal/undo"
)

var (
	fpStartCgroup  = failpoint.New("runtime.start.cgroup")
	fpStartPipes   = failpoint.New("runtime.start.pipes")
	fpStartKeep    = failpoint.New("runtime.start.keep")
	fpStartProcess = failpoint.New("runtime.start.process")
	fpStartRunning = failpoint.New("runtime.start.running") // it is on record, and has no leave to run yet
	fpStartLog     = failpoint.New("runtime.start.log")
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
	c.mu.Lock()
	c.starting = true
	c.mu.Unlock()
	if c.ready == nil || c.ready.rootfs == nil {
		err = c.open(ctx)
	}
	if err == nil {
		err = c.start(ctx)
	}
	if err != nil {
		// Before the end of the process, which may wait already, is looked at: it takes the container for one that ran.
		err = c.startFailed(fmt.Errorf("start %s: %w", c, err))
	}
	c.mu.Lock()
	c.starting = false
	c.ready.close()
	c.ready = nil
	c.spec = nil // as large as all else that is kept of a container: respec makes it again
	c.mu.Unlock()
	close(c.started)
	return err
}

// startFailed records a start that came to nothing. All of it has been taken back, but for what is only ours.
func (c *container) startFailed(cause error) error {
	cause = errors.Join(cause, c.detach())
	now := time.Now()
	err := c.update(func(rec *containerRecord) {
		c.starting = false
		st := &rec.Status
		st.State, st.PID, st.StartedAt, st.EndedAt = ContainerExited, 0, time.Time{}, now
		st.ExitCode, st.Reason, st.Message = startErrorCode, ReasonStartError, cause.Error()
	})
	close(c.ended)
	return errors.Join(cause, err)
}

// stdio is what a start gives to the process and keeps for itself.
type stdio struct {
	*logs.Pipes
	stdin   *os.File // the container's end; nil is /dev/null
	witness *os.File // the container's end
}

func (s *stdio) closeTheirs() {
	_ = s.CloseTheirs()
	for _, f := range []*os.File{s.stdin, s.witness} {
		if f != nil {
			_ = f.Close()
		}
	}
}

func (c *container) start(ctx context.Context) (err error) {
	var back undo.Stack
	defer back.Run(ctx, &err)
	w := c.r.stopwatch("start", c.id)
	cgroups, err := c.startCgroup(&back)
	if err != nil {
		return err
	}
	defer streams.CloseAll(cgroups)
	w.lap("cgroup")
	io, err := c.startPipes(ctx, &back)
	if err != nil {
		return err
	}
	defer io.closeTheirs()
	w.lap("pipes")
	if err := c.startProcess(ctx, &back, io, cgroups); err != nil {
		return err
	}
	w.lap("process")
	if err := c.startLog(&back, io); err != nil {
		return err
	}
	w.lap("log")
	back.Release()
	return nil
}

func (c *container) startCgroup(back *undo.Stack) ([]*os.File, error) {
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

// startPipes makes the container's stdio and has the keeper hold our ends of it, before there is a process: first the
// witness of its birth, then the log's, then our end of its input where that outlives hulld.
func (c *container) startPipes(ctx context.Context, back *undo.Stack) (*stdio, error) {
	io := &stdio{}
	closeOurs := func(context.Context) error {
		if io.Pipes == nil {
			return nil
		}
		return io.CloseOurs()
	}
	if err := back.Push(fpStartPipes, "close the pipes", closeOurs); err != nil {
		return nil, err
	}
	cfg := c.config()
	var err error
	if io.Pipes, err = logs.NewPipes(cfg.TTY); err != nil {
		return nil, err
	}
	var witness *os.File
	if io.witness, witness, err = streams.Pipe(true); err != nil {
		return nil, err
	}
	defer func() { _ = witness.Close() }() // what the keeper has is for the next hulld
	held := slices.Concat([]*os.File{witness}, io.Ends)
	if cfg.Stdin && !cfg.TTY {
		var ours *os.File
		if io.stdin, ours, err = streams.Pipe(false); err != nil {
			return nil, err
		}
		c.mu.Lock()
		c.stdin = ours
		c.mu.Unlock()
		if !cfg.StdinOnce {
			held = append(held, ours) // else the end of the first client's input is the container's: nobody else may hold it
		}
	}
	forget := func(ctx context.Context) error { return c.r.cfg.Keeper.Forget(ctx, c.key()) }
	if err := back.Push(fpStartKeep, "forget the keeper's record", forget); err != nil {
		return nil, err
	}
	return io, c.r.cfg.Keeper.Register(ctx, c.key(), nil, held...)
}

func (c *container) startProcess(ctx context.Context, back *undo.Stack, io *stdio, cgroups []*os.File) error {
	// The record goes back before the keeper's: what is on record as running, and unknown to the keeper, is taken for lost.
	undo := func(ctx context.Context) error { return errors.Join(c.killStarted(ctx), c.unmark()) }
	if err := back.Push(fpStartProcess, "kill the process", undo); err != nil {
		return err
	}
	p, err := c.r.starterOf(c.in).Start(ctx, starter.Request{
		Key: c.id, Spec: c.spec, Rootfs: c.ready.rootfs, Sources: c.ready.sources,
		Stdin: io.stdin, Stdout: io.Stdout, Stderr: io.Stderr, Cgroups: cgroups, Bundle: c.r.dir.container(c.id),
		Witness: io.witness, Born: c.born, Ready: c.running,
		Console: func(master *os.File) error { return c.keepTerminal(ctx, master) },
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.pidfd = p.PIDFD
	c.mu.Unlock()
	if p.Console != nil {
		io.Ends = append(io.Ends, p.Console)
	}
	return nil
}

// unmark takes a start off the record.
func (c *container) unmark() error {
	return c.update(func(rec *containerRecord) {
		rec.Status.State, rec.Status.PID, rec.Status.StartedAt = ContainerCreated, 0, time.Time{}
	})
}

// born has the keeper know whose the process is before it is anything.
func (c *container) born(pid int) error {
	c.mu.Lock()
	c.rec.Status.PID = pid
	c.mu.Unlock()
	return c.r.cfg.Keeper.Born(c.key(), pid)
}

// running puts the start on record while the process prepares itself. What is not on record as running has not run: its
// process waits for this, and ends when hulld does. Whether what is on record has run, the witness says.
func (c *container) running(facts starter.Facts) error {
	err := c.update(func(rec *containerRecord) {
		rec.Status.State, rec.Status.StartedAt, rec.Facts = ContainerRunning, time.Now(), facts
	})
	if err != nil {
		return err
	}
	return fpStartRunning.Hit()
}

// keepTerminal has the keeper hold a terminal, and makes input of a descriptor of our own for it: its output is the log's.
func (c *container) keepTerminal(ctx context.Context, master *os.File) error {
	own, err := streams.Duplicate(master)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.stdin = own
	c.mu.Unlock()
	return c.r.cfg.Keeper.Add(ctx, c.key(), master)
}

// killStarted takes a process back whose start did not come to its end, and waits until the keeper has reaped it.
func (c *container) killStarted(ctx context.Context) error {
	c.mu.Lock()
	started := c.pidfd != nil
	c.mu.Unlock()
	if !started {
		return nil // the starter killed it, if there was one
	}
	if err := c.signal(unix.SIGKILL); err != nil {
		return err
	}
	select {
	case <-c.gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *container) startLog(back *undo.Stack, io *stdio) error {
	if err := back.Push(fpStartLog, "close the log", func(context.Context) error { return c.closeLog() }); err != nil {
		return err
	}
	ends := io.Ends
	io.Ends = nil // Open takes them over, also when it fails
	return c.openLog(ends)
}

func (c *container) closeLog() error {
	c.mu.Lock()
	w := c.log
	c.log = nil
	c.mu.Unlock()
	if w == nil {
		return nil
	}
	return w.Close()
}

// openLog writes the container's output to its log from now on: from our ends of its pipes, or from the keeper's
// duplicates of them after a restart.
func (c *container) openLog(ends []*os.File) error {
	cfg := c.config()
	w, err := c.r.collector.Open(logs.Config{
		Path: c.logPath(), State: filepath.Join(c.r.dir.container(c.id), "log"), TTY: cfg.TTY,
		MaxSize: c.r.cfg.LogMaxSize, MaxFiles: c.r.cfg.LogMaxFiles,
		OnDiskFull: func(err error) { c.r.logStalled(c, err) },
	}, ends)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = w
	return nil
}
