// Package streams carries bytes between a client and a process: over pipes, or a terminal.
package streams

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Size of a terminal, in characters.
type Size struct{ Width, Height uint16 }

// Streams are the ends that a client holds of an exec or attach session. Nil ends are not connected.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	TTY            bool
	Resize         <-chan Size
}

// Pipes are the streams of one session: the process' ends, and ours.
type Pipes struct {
	Theirs [3]*os.File // nil is /dev/null
	stdin  *os.File    // ours
	output []*os.File  // ours, stdout then stderr; the terminal alone when there is one
}

// New makes what a session needs; a terminal is for [Pipes.Console] to bring.
func New(st Streams) (_ *Pipes, err error) {
	p := &Pipes{}
	if st.TTY {
		return p, nil
	}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if st.Stdin != nil {
		if p.Theirs[0], p.stdin, err = Pipe(false); err != nil {
			return nil, err
		}
	}
	for i, w := range []io.Writer{st.Stdout, st.Stderr} {
		var ours *os.File
		if w != nil {
			if p.Theirs[i+1], ours, err = Pipe(true); err != nil {
				return nil, err
			}
		}
		p.output = append(p.output, ours)
	}
	return p, nil
}

// Console takes a terminal's master over, in place of pipes. What reads it must be able to stop while somebody has the terminal
// open, and a master that comes from a starter blocks: so it is a duplicate that is used.
func (p *Pipes) Console(master *os.File) error {
	defer func() { _ = master.Close() }()
	own, err := Duplicate(master)
	if err != nil {
		return err
	}
	p.stdin, p.output = own, []*os.File{own}
	return nil
}

// CloseTheirs closes the process' ends: it has been cloned.
func (p *Pipes) CloseTheirs() {
	for i, f := range p.Theirs {
		if f != nil {
			_ = f.Close()
			p.Theirs[i] = nil
		}
	}
}

// Close closes everything.
func (p *Pipes) Close() {
	p.CloseTheirs()
	for _, f := range append(p.output, p.stdin) {
		if f != nil {
			_ = f.Close()
		}
	}
}

// Serve carries bytes until the process has ended, which gone says; when ctx ends first, the process is killed. Output that was
// written before the end arrives; what a process that was left in the background writes later does not, so that exec ends when
// its command does.
func (p *Pipes) Serve(ctx context.Context, st Streams, gone <-chan struct{}, kill func()) error {
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
		resizing.Go(func() { Resize(p.stdin, st.Resize, stop) })
	}
	var copying sync.WaitGroup
	for i, w := range []io.Writer{st.Stdout, st.Stderr} {
		if i < len(p.output) && p.output[i] != nil && w != nil {
			copying.Go(func() { copyUntilEnd(w, p.output[i]) })
		}
	}
	var err error
	select {
	case <-gone:
	case <-ctx.Done():
		err = context.Cause(ctx)
		kill()
		<-gone
	}
	close(stop)
	for _, f := range p.output {
		if f != nil {
			_ = f.SetReadDeadline(time.Unix(1, 0)) // wakes the copying, which then takes what is there and ends
		}
	}
	copying.Wait()
	resizing.Wait()
	return err
}

// afterEnd is how much is taken of a stream once its process has ended: as much as a pipe can hold (fs.pipe-max-size), so that
// nobody who goes on writing keeps the session open.
const afterEnd = 1 << 20

// copyUntilEnd copies until the end of the stream, or, once the deadline has passed, what is still there.
func copyUntilEnd(w io.Writer, r *os.File) {
	buf, left := make([]byte, 32<<10), afterEnd
	for {
		n, err := r.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			n = readNow(r, buf[:min(len(buf), left)])
			left -= n
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

// Resize passes sizes on to a terminal until stop closes, or no more will come.
func Resize(tty *os.File, sizes <-chan Size, stop <-chan struct{}) {
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
