package runtime

import (
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/streams"
	"github.com/hull-pods/hull/internal/starter"
)

// execution is one process that exec starts in a running container. It ends with hulld: the other ends of its streams are a
// client's.
type execution struct {
	c      *container
	r      *Runtime
	key    string   // of the keeper's record
	pid    int      // of the container's first process
	target *os.File // its pidfd

	once sync.Once
	gone chan struct{} // closed when the process is gone
	exit keeper.Exit
}

// ProcessEnded is told by [exits.Exits].
func (e *execution) ProcessEnded(exit keeper.Exit) {
	e.once.Do(func() {
		e.exit = exit
		close(e.gone)
	})
}

// Exec runs a command in a running container, under the container's restrictions, and returns its exit code when it has
// ended and its output is written. A context that ends kills it.
func (r *Runtime) Exec(ctx context.Context, id string, args []string, st Streams) (int, error) {
	c, err := r.all.container(id)
	if err != nil {
		return 0, err
	}
	code, err := c.exec(ctx, args, st)
	if err != nil {
		return 0, fmt.Errorf("exec in %s: %w", c, err)
	}
	return code, nil
}

func (c *container) exec(ctx context.Context, args []string, st Streams) (int, error) {
	e := &execution{c: c, r: c.r, gone: make(chan struct{})}
	if err := e.aim(); err != nil {
		return 0, err
	}
	defer func() { _ = e.target.Close() }()
	spec, err := c.respec(ctx)
	if err != nil {
		return 0, err
	}
	process, err := oci.ExecProcess(spec, oci.Exec{Args: args, Terminal: st.TTY})
	if err != nil {
		return 0, err
	}
	pipes, err := streams.New(st)
	if err != nil {
		return 0, err
	}
	defer pipes.Close()
	c.r.exits.Watch(e.key, e)
	defer c.r.exits.Forget(context.WithoutCancel(ctx), e.key)
	p, err := e.start(ctx, spec, process, pipes)
	if err != nil {
		return 0, err
	}
	defer func() { _ = p.PIDFD.Close() }()
	pipes.CloseTheirs()
	kill := func() { _ = linux.PidfdSignal(p.PIDFD, unix.SIGKILL) }
	if p.Console != nil {
		if err := pipes.Console(p.Console); err != nil {
			kill()
			return 0, err
		}
	}
	err = pipes.Serve(ctx, st, e.gone, kill)
	code, _ := record.ExitCode(e.exit.Status)
	return code, err
}

// aim takes hold of the process beside which this one shall run, and gives it a key.
func (e *execution) aim() error {
	st := e.c.status()
	e.pid = st.PID
	var err error
	if st.State == ContainerRunning {
		e.target, err = e.c.held.Process()
	}
	if err != nil {
		return err
	}
	if e.target == nil {
		return fmt.Errorf("it is not running (%s): %w", e.c.status().State, errdefs.ErrFailedPrecondition)
	}
	e.key = record.KeyExec + e.c.id + "/" + record.NewID()
	return nil
}

// start makes the process, which the keeper knows before it is anything.
func (e *execution) start(ctx context.Context, spec *oci.Spec, process *oci.Process, pipes *streams.Pipes) (*starter.Process, error) {
	maker, err := e.r.starterOf(e.c.in)
	if err != nil {
		return nil, err
	}
	kept, err := e.r.cfg.Keeper.Register(e.key)
	if err != nil {
		return nil, err
	}
	return maker.Exec(ctx, starter.ExecRequest{
		Key: e.key, Container: e.c.id, PID: e.pid, PIDFD: e.target, Spec: spec, Process: process,
		Stdin: pipes.Theirs[0], Stdout: pipes.Theirs[1], Stderr: pipes.Theirs[2], Cgroups: e.c.group().Join, Bundle: e.r.dirs.Container(e.c.id),
		Born: func(pid int) error { return kept.Born(ctx, pid) },
	})
}
