package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/oci"
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
	defer closeAll(join)
	pipes, err := newExecPipes(st)
	if err != nil {
		return 0, err
	}
	defer pipes.close()

	s := &session{gone: make(chan struct{})}
	c.r.watch(key, s)
	defer c.r.forget(context.WithoutCancel(ctx), key)
	if err := c.r.cfg.Keeper.Register(ctx, key, nil); err != nil {
		return 0, err
	}
	p, err := c.r.starterOf(c.in).Exec(ctx, starter.ExecRequest{
		Key: key, Container: c.id, PID: c.status().PID, PIDFD: target, Spec: spec, Process: process,
		Stdin: pipes.theirs[0], Stdout: pipes.theirs[1], Stderr: pipes.theirs[2], Cgroups: join, Bundle: c.r.dir.container(c.id),
		Born: func(pid int) error { return c.r.cfg.Keeper.Born(key, pid) },
	})
	if err != nil {
		return 0, err
	}
	defer func() { _ = p.PIDFD.Close() }()
	pipes.closeTheirs()
	if p.Console != nil {
		pipes.console(p.Console)
	}
	return pipes.serve(ctx, s, p.PIDFD, st)
}

// target is what a further process of a running container is made from.
func (c *container) target() (*os.File, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rec.Status.State != ContainerRunning || c.pidfd == nil {
		return nil, "", fmt.Errorf("it is not running (%s): %w", c.rec.Status.State, errdefs.ErrFailedPrecondition)
	}
	fd, err := duplicate(c.pidfd)
	if err != nil {
		return nil, "", err
	}
	c.execs++
	// The time keeps the key from one that an earlier hulld used.
	key := keyExec + c.id + "/" + strconv.FormatInt(time.Now().UnixNano(), 36) + "." + strconv.Itoa(c.execs)
	return fd, key, nil
}

// execPipes are the streams of one session: the process' ends, and ours.
type execPipes struct {
	theirs [3]*os.File // nil is /dev/null
	stdin  *os.File    // ours
	output []*os.File  // ours, stdout then stderr; the terminal alone when there is one
}

func newExecPipes(st Streams) (_ *execPipes, err error) {
	p := &execPipes{}
	if st.TTY {
		return p, nil
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if st.Stdin != nil {
		if p.theirs[0], p.stdin, err = pipe(false); err != nil {
			return nil, err
		}
	}
	for i, w := range []io.Writer{st.Stdout, st.Stderr} {
		var ours *os.File
		if w != nil {
			if p.theirs[i+1], ours, err = pipe(true); err != nil {
				return nil, err
			}
		}
		p.output = append(p.output, ours)
	}
	return p, nil
}

// console takes a terminal's master in place of pipes.
func (p *execPipes) console(master *os.File) {
	p.stdin, p.output = master, []*os.File{master}
}

func (p *execPipes) closeTheirs() {
	for i, f := range p.theirs {
		if f != nil {
			_ = f.Close()
			p.theirs[i] = nil
		}
	}
}

func (p *execPipes) close() {
	p.closeTheirs()
	for _, f := range append(p.output, p.stdin) {
		if f != nil {
			_ = f.Close()
		}
	}
}

// serve carries bytes until the process has ended. Output that was written before the end arrives; what a process that
// was left in the background writes later does not, so that exec ends when its command does.
func (p *execPipes) serve(ctx context.Context, s *session, pidfd *os.File, st Streams) (int, error) {
	if st.Stdin != nil && p.stdin != nil {
		// The client's reader may block for ever: this goroutine ends with the client's connection, which api closes.
		go func() {
			_, _ = io.Copy(p.stdin, st.Stdin)
			if !st.TTY {
				_ = p.stdin.Close()
			}
		}()
	}
	stop := make(chan struct{})
	var resizing sync.WaitGroup
	if st.TTY && st.Resize != nil {
		resizing.Go(func() { resize(p.stdin, st.Resize, stop) })
	}
	var copying sync.WaitGroup
	for i, w := range []io.Writer{st.Stdout, st.Stderr} {
		if i < len(p.output) && p.output[i] != nil && w != nil {
			copying.Go(func() { copyUntilEnd(w, p.output[i]) })
		}
	}
	var err error
	select {
	case <-s.gone:
	case <-ctx.Done():
		err = context.Cause(ctx)
		_ = unix.PidfdSendSignal(int(pidfd.Fd()), unix.SIGKILL, nil, 0)
		<-s.gone
	}
	close(stop)
	for _, f := range p.output {
		if f != nil {
			_ = f.SetReadDeadline(time.Unix(1, 0)) // wakes the copying, which then takes what is there and ends
		}
	}
	copying.Wait()
	resizing.Wait()
	code, _ := exitCode(s.exit.Status)
	return code, err
}

// copyUntilEnd copies until the end of the stream, or, once the deadline has passed, until nothing more is there.
func copyUntilEnd(w io.Writer, r *os.File) {
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			n = readNow(r, buf)
			if n > 0 {
				err = nil
			}
		}
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			return // the end: of a pipe EOF, of a terminal EIO
		}
	}
}

// readNow reads what is there without waiting.
func readNow(r *os.File, buf []byte) (n int) {
	raw, err := r.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		n, _ = unix.Read(int(fd), buf)
	})
	return max(n, 0)
}

func resize(tty *os.File, sizes <-chan Size, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case s, ok := <-sizes:
			if !ok {
				return
			}
			_ = setSize(tty, s)
		}
	}
}

// setSize tells a terminal how large it is; its foreground processes get SIGWINCH.
func setSize(tty *os.File, s Size) error {
	raw, err := tty.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		serr = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: s.Height, Col: s.Width})
	})
	return errors.Join(err, serr)
}
