package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/runtime/prepared"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/stdio"
	"github.com/hull-pods/hull/internal/runtime/stopwatch"
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

// StartContainer runs a created container's command, and returns after the execve. When that cannot be done, the
// container has ended with reason StartError, exit code 128 and the cause as its message, and the error is returned too.
//
// The end of ctx, and an error of the turn, is the start's error: the container is then as if no start had been tried, but can only be
// removed.
func (r *Runtime) StartContainer(ctx context.Context, id string, turn Turn) error {
	c, err := r.all.container(id)
	if err != nil {
		return err
	}
	c.op.Lock()
	defer c.op.Unlock()
	if st := c.status().State; st != ContainerCreated || c.givenUp {
		return fmt.Errorf("start %s: it is %s: %w", c, st, errdefs.ErrFailedPrecondition)
	}
	return (&containerStart{c: c, r: r, turn: turn}).run(ctx)
}

// Turn is a container's place among others that start. Either may be nil.
type Turn struct {
	// Await is called once the process waits for nothing but the word to go on, with a context that ends when there is nothing left
	// to wait for.
	Await func(context.Context) error
	// Pass is called when the process has that word, if that is before StartContainer returns. It must not wait.
	Pass func()
}

// containerStart is the one attempt to run a created container's command.
type containerStart struct {
	c       *container
	r       *Runtime
	back    undo.Stack
	starter starter.Starter
	ready   *prepared.Prepared
	io      stdio.Set
	kept    *keeper.Registration
	turn    Turn
}

// run starts, and has the container's state say what came of it. Until it returns, others see a created container.
func (s *containerStart) run(ctx context.Context) error {
	c := s.c
	whole, end := context.WithCancelCause(ctx)
	defer end(nil)
	c.mu.Lock()
	c.starting = end
	c.mu.Unlock()
	defer context.AfterFunc(c.in.over, func() { end(context.Cause(c.in.over)) })()
	err := s.prepare(whole)
	if err == nil {
		err = s.start(whole)
	}
	if err != nil && ctx.Err() != nil {
		c.givenUp = true
	}
	switch {
	case c.givenUp:
		// Nothing is in its log, and by that it would be told how often the container ran.
		err = errors.Join(fmt.Errorf("start %s: %w", c, err), c.detach(), os.RemoveAll(c.logPath()))
	case err != nil:
		// Before the end of the process, which may wait already, is looked at: it takes the container for one that ran.
		err = s.failed(fmt.Errorf("start %s: %w", c, err))
	}
	s.ready.Close()
	c.mu.Lock()
	c.starting = nil
	c.mu.Unlock()
	close(c.started)
	return err
}

// prepare takes what the create has left, or makes it again when hulld restarted in between.
func (s *containerStart) prepare(ctx context.Context) (err error) {
	if s.c.in.over.Err() != nil {
		return context.Cause(s.c.in.over)
	}
	if s.starter, err = s.r.starterOf(s.c.in); err != nil {
		return err
	}
	if s.ready = s.c.takePrepared(); s.ready != nil {
		return nil
	}
	s.ready = &prepared.Prepared{}
	return opening{s.c, s.ready}.run(ctx)
}

// failed records a start that came to nothing. All of it has been taken back, but for what is only ours.
func (s *containerStart) failed(cause error) error {
	c := s.c
	cause = errors.Join(cause, c.detach())
	now := time.Now()
	err := c.update(func(rec *record.Container) {
		c.starting = nil
		rec.Status.SetStartError(now, cause)
	})
	close(c.ended)
	return errors.Join(cause, err)
}

func (s *containerStart) start(ctx context.Context) (err error) {
	defer s.back.Run(ctx, &err)
	defer func() { s.io.CloseTheirs() }()
	err = stopwatch.Run(ctx, s.r.log, "start", s.c.id, stopwatch.Steps{
		{"cgroup", s.cgroup}, {"pipes", s.pipes}, {"log", s.log}, {"process", s.process}, {"terminal's log", s.terminalLog},
	})
	if err != nil {
		return err
	}
	s.back.Release()
	return nil
}

// cgroup takes over the one that CreateContainer has made, or makes it again.
func (s *containerStart) cgroup(context.Context) error {
	remove := func(ctx context.Context) error { return opening{s.c, s.ready}.removeCgroup(ctx) }
	if err := s.back.Push(fpStartCgroup, "remove the cgroup", remove); err != nil {
		return err
	}
	if s.ready.Group == nil {
		opening{s.c, s.ready}.beginCgroup()
	}
	return nil
}

// pipes makes the container's stdio and has the keeper hold our ends of it, before there is a process.
func (s *containerStart) pipes(context.Context) error {
	if err := s.back.Push(fpStartPipes, "close the pipes", func(context.Context) error { return s.io.CloseOurs() }); err != nil {
		return err
	}
	var err error
	s.io, err = s.ready.Stdio(s.c.config())
	if s.io.Input != nil {
		s.c.held.TakeStdin(s.io.Input)
	}
	if err != nil {
		return err
	}
	key := s.c.key()
	forget := func(ctx context.Context) error { return s.r.cfg.Keeper.Forget(ctx, key) }
	if err := s.back.Push(fpStartKeep, "forget the keeper's record", forget); err != nil {
		return err
	}
	s.kept, err = s.r.cfg.Keeper.Register(key, s.io.Held()...)
	return err
}

func (s *containerStart) process(ctx context.Context) error {
	c := s.c
	// The record goes back before the keeper's: what is on record as running, and unknown to the keeper, is taken for lost.
	undo := func(ctx context.Context) error {
		return errors.Join(s.kill(ctx), c.update((*record.Container).Unstart))
	}
	if err := s.back.Push(fpStartProcess, "kill the process", undo); err != nil {
		return err
	}
	request := s.ready.Request(c.id, s.r.dirs.Container(c.id), &s.io)
	request.Ready, request.Gone = s.running, s.turn.Pass
	request.Born = func(pid int) error { return s.born(ctx, pid) }
	request.Console = func(master *os.File) error { return s.keepTerminal(ctx, master) }
	p, err := s.starter.Start(ctx, request)
	if err != nil {
		return c.group().Starved(err)
	}
	c.held.TakeProcess(p.PIDFD)
	if p.Console != nil {
		s.io.Ends = append(s.io.Ends, p.Console)
	}
	return nil
}

// born has the keeper know whose the process is before it is anything.
func (s *containerStart) born(ctx context.Context, pid int) error {
	s.c.mu.Lock()
	s.c.rec.Status.PID = pid
	s.c.mu.Unlock()
	return s.kept.Born(ctx, pid)
}

// running puts the start on record while the process prepares itself, once it may start. What is not on record as running has
// not run: its process waits for this, and ends when hulld does. Whether what is on record has run, the witness says.
func (s *containerStart) running(ctx context.Context, facts starter.Facts) error {
	if s.turn.Await != nil {
		if err := s.turn.Await(ctx); err != nil {
			s.c.givenUp = ctx.Err() == nil
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// The process, or what makes it, has the namespaces: they are the sandbox's if that is still alive.
	if err := s.c.in.lent(s.ready.Spec); err != nil {
		return err
	}
	err := s.c.update(func(rec *record.Container) {
		rec.Status.State, rec.Status.StartedAt, rec.Facts = ContainerRunning, time.Now(), facts
	})
	if err != nil {
		return err
	}
	return fpStartRunning.Hit()
}

// keepTerminal has the keeper hold a terminal, and makes input of a descriptor of our own for it: its output is the log's.
func (s *containerStart) keepTerminal(ctx context.Context, master *os.File) error {
	own, err := streams.Duplicate(master)
	if err != nil {
		return err
	}
	s.c.held.TakeStdin(own)
	return s.r.cfg.Keeper.Add(ctx, s.c.key(), master)
}

// kill takes a process back whose start did not come to its end, and waits until the keeper has reaped it.
func (s *containerStart) kill(ctx context.Context) error {
	if !s.c.held.HoldsProcess() {
		return nil // the starter killed it, if there was one
	}
	if err := s.c.held.Signal(unix.SIGKILL); err != nil {
		return err
	}
	return s.r.exits.Await(ctx, s.c.gone)
}

// log begins to write the log, of pipes before anything can be in them.
func (s *containerStart) log(context.Context) error {
	if s.c.config().TTY {
		return nil
	}
	return s.openLog()
}

// terminalLog is log for a terminal, which the process itself has made.
func (s *containerStart) terminalLog(context.Context) error {
	if !s.c.config().TTY {
		return nil
	}
	return s.openLog()
}

func (s *containerStart) openLog() error {
	if err := s.back.Push(fpStartLog, "close the log", func(context.Context) error { return s.c.held.CloseLog() }); err != nil {
		return err
	}
	ends := s.io.Ends
	s.io.Ends = nil // openLog takes them over, also when it fails
	return s.c.openLog(ends)
}
