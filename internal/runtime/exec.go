package runtime

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/streams"
	"github.com/hull-pods/hull/internal/starter"
)

// session is one process that exec started. It ends with hulld: the other ends of its streams are a client's.
type session struct {
	gone chan struct{} // closed when the process is gone
	exit keeper.Exit
	once sync.Once
}

func (s *session) processEnded(e keeper.Exit) {
	s.once.Do(func() {
		s.exit = e
		close(s.gone)
	})
}

// Exec runs a command in a running container, under the container's restrictions, and returns its exit code when it has
// ended and its output is written. A context that ends kills it.
func (r *Runtime) Exec(ctx context.Context, id string, args []string, st Streams) (int, error) {
	c, err := r.container(id)
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
	target, key, err := c.target()
	if err != nil {
		return 0, err
	}
	defer func() { _ = target.Close() }()
	spec, err := c.respec(ctx)
	if err != nil {
		return 0, err
	}
	process, err := oci.ExecProcess(spec, oci.Exec{Args: args, Terminal: st.TTY})
	if err != nil {
		return 0, err
	}
	join, err := c.r.cfg.Cgroups.Load(c.cgroup()).Join()
	if err != nil {
		return 0, err
	}
	defer streams.CloseAll(join)
	pipes, err := streams.New(st)
	if err != nil {
		return 0, err
	}
	defer pipes.Close()

	s := &session{gone: make(chan struct{})}
	c.r.watch(key, s)
	defer c.r.forget(context.WithoutCancel(ctx), key)
	if err := c.r.cfg.Keeper.Register(ctx, key, nil); err != nil {
		return 0, err
	}
	p, err := c.r.starterOf(c.in).Exec(ctx, starter.ExecRequest{
		Key: key, Container: c.id, PID: c.status().PID, PIDFD: target, Spec: spec, Process: process,
		Stdin: pipes.Theirs[0], Stdout: pipes.Theirs[1], Stderr: pipes.Theirs[2], Cgroups: join, Bundle: c.r.dir.container(c.id),
		Born: func(pid int) error { return c.r.cfg.Keeper.Born(key, pid) },
	})
	if err != nil {
		return 0, err
	}
	defer func() { _ = p.PIDFD.Close() }()
	pipes.CloseTheirs()
	if p.Console != nil {
		pipes.Console(p.Console)
	}
	err = pipes.Serve(ctx, st, s.gone, func() { _ = unix.PidfdSendSignal(int(p.PIDFD.Fd()), unix.SIGKILL, nil, 0) })
	code, _ := exitCode(s.exit.Status)
	return code, err
}

// target is what a further process of a running container is made from.
func (c *container) target() (*os.File, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rec.Status.State != ContainerRunning || c.pidfd == nil {
		return nil, "", fmt.Errorf("it is not running (%s): %w", c.rec.Status.State, errdefs.ErrFailedPrecondition)
	}
	fd, err := streams.Duplicate(c.pidfd)
	if err != nil {
		return nil, "", err
	}
	c.execs++
	// The time keeps the key from one that an earlier hulld used.
	key := keyExec + c.id + "/" + strconv.FormatInt(time.Now().UnixNano(), 36) + "." + strconv.Itoa(c.execs)
	return fd, key, nil
}
