package logs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// Config is one container's log.
type Config struct {
	Path  string // the file: …/NAMESPACE_POD_UID/CONTAINER/0.log
	State string // the record's file: small, on a file system that lives as long as the container's processes
	TTY   bool   // the output is a terminal's
	// MaxSize rotates the file when it is as large, and MaxFiles is how many files there are at most, the current one
	// included. Zero leaves rotation to somebody else, who renames the file and calls Reopen.
	MaxSize  int64
	MaxFiles int
	// OnDiskFull, if not nil, is told when the log cannot be written, and with nil when it can again. It must not wait.
	OnDiskFull func(error)
}

// Writer writes one container's log.
type Writer struct {
	c       *Collector
	cfg     Config
	id      int32
	rec     *record
	streams [2]stream
	file    file
	clients clients
	told    bool // OnDiskFull knows

	done chan struct{} // closed when all streams have ended and all is written
	quit chan struct{} // closed by Close

	mu      sync.Mutex
	ready   [2]bool // something has happened to the stream
	running bool    // run's goroutine exists
	blocked bool    // run is to be started by the timer
	closed  bool
	over    bool          // both streams have ended, and all is written
	stopped chan struct{} // closed when run has ended after Close
	reopen  bool
	gone    bool // the container's processes are gone: a terminal that nobody has open has ended
	timer   *time.Timer
}

// stream is one of the container's outputs.
type stream struct {
	name     Stream
	fd       int  // the container's pipe, or the terminal's master; -1 when there is none, or it has ended
	inflight int  // -1 likewise
	ended    bool // the container will not print to it again, or never could; what is in flight is still to be written
	hungUp   bool // nobody has the terminal open
}

// Open writes the log of a container from its pipes, which it takes over, also when it fails: those of NewPipes, or the
// duplicates that the keeper had, in the same order, the master of a terminal included. A batch that the last daemon did
// not finish is finished first. A terminal's master is made non-blocking, for all who hold it.
func (c *Collector) Open(cfg Config, ends []*os.File) (w *Writer, err error) {
	fds, err := takeAll(ends, Ends(cfg.TTY))
	if err != nil {
		return nil, fmt.Errorf("open the log %s: %w", cfg.Path, err)
	}
	w = &Writer{
		c: c, cfg: cfg, file: file{c: c, path: cfg.Path, maxSize: cfg.MaxSize, maxFiles: cfg.MaxFiles, limit: cfg.MaxSize, fd: -1},
		done: make(chan struct{}), quit: make(chan struct{}), stopped: make(chan struct{}),
	}
	if cfg.TTY {
		w.streams[0] = stream{name: Stdout, fd: fds[1], inflight: fds[0]}
		w.streams[1] = stream{name: Stderr, fd: -1, inflight: -1, ended: true}
	} else {
		w.streams[0] = stream{name: Stdout, fd: fds[0], inflight: fds[2]}
		w.streams[1] = stream{name: Stderr, fd: fds[1], inflight: fds[3]}
	}
	c.add(w)
	if err := w.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the log %s: %w", cfg.Path, err), w.release())
	}
	w.wake(0)
	w.wake(1)
	return w, nil
}

// takeAll takes the descriptors out of files.
func takeAll(ends []*os.File, want int) ([]int, error) {
	fds := make([]int, 0, want)
	var errs []error
	for _, f := range ends {
		fd, err := linux.TakeFD(f)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fds = append(fds, fd)
	}
	if len(ends) != want {
		errs = append(errs, fmt.Errorf("%d descriptors instead of %d: %w", len(ends), want, errdefs.ErrInvalidArgument))
	}
	if len(errs) == 0 {
		return fds, nil
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return nil, errors.Join(errs...)
}

func (w *Writer) begin() error {
	if err := os.MkdirAll(filepath.Dir(w.cfg.Path), 0o755); err != nil {
		return err
	}
	var err error
	if w.rec, err = openRecord(w.cfg.State); err != nil {
		return err
	}
	// A full disk is no reason to fail: the container's output waits.
	if _, err := w.file.current(); err != nil && !isFull(err) {
		return err
	}
	if w.cfg.TTY {
		if err := unix.SetNonblock(w.streams[0].fd, true); err != nil {
			return fmt.Errorf("terminal: %w", err)
		}
	}
	for i, s := range w.streams {
		if s.fd < 0 {
			continue
		}
		if err := w.c.watch(w, s.fd, i); err != nil {
			return err
		}
	}
	return nil
}

// Wait returns when both streams have ended and every byte is in the file. It is called when the container's processes
// have ended: a terminal has no other end.
func (w *Writer) Wait(ctx context.Context) error {
	w.mu.Lock()
	w.gone = true
	w.mu.Unlock()
	w.wake(0)
	select {
	case <-w.done:
		return nil
	case <-w.quit:
		if isClosed(w.done) {
			return nil
		}
		return fmt.Errorf("wait for the log %s: %w", w.cfg.Path, os.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("wait for the log %s: %w", w.cfg.Path, context.Cause(ctx))
	}
}

// Done is closed when both streams have ended and every byte is in the file.
func (w *Writer) Done() <-chan struct{} { return w.done }

// Reopen goes on in a new file at the path, after somebody has renamed the old one.
func (w *Writer) Reopen() {
	w.mu.Lock()
	w.reopen = true
	w.mu.Unlock()
	w.wake(0)
}

// Close stops writing. What is not written stays in the pipes, for whoever opens them next.
func (w *Writer) Close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	running := w.running
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	close(w.quit)
	if running {
		<-w.stopped
	}
	return w.release()
}

// release lets go of everything in the kernel. Nothing runs any more.
func (w *Writer) release() error {
	w.c.remove(w)
	var errs []error
	for i := range w.streams {
		errs = append(errs, w.closeStream(i))
	}
	errs = append(errs, w.file.close())
	if w.rec != nil {
		errs = append(errs, w.rec.close())
	}
	w.clients.end()
	return errors.Join(errs...)
}

// closeStream lets go of a stream. What is in flight is in the keeper's duplicate.
func (w *Writer) closeStream(i int) error {
	s := &w.streams[i]
	if s.fd < 0 {
		return nil
	}
	err := errors.Join(w.c.unwatch(s.fd), unix.Close(s.fd), unix.Close(s.inflight))
	s.fd, s.inflight = -1, -1
	return err
}

// wake says that something has happened to a stream.
func (w *Writer) wake(i int) {
	w.mu.Lock()
	w.ready[i] = true
	start := !w.running && !w.blocked && !w.closed && !w.over
	w.running = w.running || start
	w.mu.Unlock()
	if start {
		go w.run()
	}
}

// block stops writing until the timer starts it again.
func (w *Writer) block(cause error) {
	if !w.told {
		w.told = true
		w.c.log.Error("a container's log cannot be written; its output waits", "path", w.cfg.Path, "err", cause)
		if w.cfg.OnDiskFull != nil {
			w.cfg.OnDiskFull(cause)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.blocked = true
	w.timer = time.AfterFunc(w.c.retry, func() {
		w.mu.Lock()
		w.blocked = false
		w.mu.Unlock()
		w.wake(0)
		w.wake(1)
	})
}

// unblocked is a write that succeeded.
func (w *Writer) unblocked() {
	if !w.told {
		return
	}
	w.told = false
	w.c.log.Info("a container's log is written again", "path", w.cfg.Path)
	if w.cfg.OnDiskFull != nil {
		w.cfg.OnDiskFull(nil)
	}
}

func isFull(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
