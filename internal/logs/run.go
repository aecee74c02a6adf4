package logs

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/linux"
)

// turn is how many batches a writer may do before others get the kit.
const turn = 16

// Where a batch can be cut off: see the steps in the package's comment.
var (
	fpNoted   = failpoint.New("logs.noted")
	fpSpliced = failpoint.New("logs.spliced")
	fpWrite   = failpoint.New("logs.write")
	fpWritten = failpoint.New("logs.written")
	fpMarked  = failpoint.New("logs.marked")
	fpDrained = failpoint.New("logs.drained")
	fpCleared = failpoint.New("logs.cleared")
)

// run writes until there is nothing to write. It exists only then.
func (w *Writer) run() {
	for more := true; more; {
		k, err := w.c.take()
		if err == nil {
			more, err = w.turn(k)
			w.c.give(k)
		}
		if err != nil {
			w.block(err)
			break
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	// What happened between the last look and here has found a run and started none.
	if !w.closed && !w.blocked && (w.ready[0] || w.ready[1]) {
		w.running = true
		go w.run()
	}
	if w.closed && !w.running {
		close(w.stopped)
	}
}

// turn does some batches and says whether there may be more.
func (w *Writer) turn(k *kit) (more bool, err error) {
	if w.rec.b == nil {
		return false, nil // all has ended
	}
	if err := w.finish(k); err != nil {
		return false, err
	}
	last := 1
	for range turn {
		i, ok := w.next(last)
		if !ok {
			return false, w.end()
		}
		last = i
		again, err := w.advance(k, i)
		if err != nil || again {
			w.mu.Lock()
			w.ready[i] = true
			w.mu.Unlock()
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// next picks a stream to which something has happened, the other one first.
func (w *Writer) next(last int) (int, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, false
	}
	for _, i := range []int{1 - last, last} {
		if w.ready[i] {
			w.ready[i] = false
			return i, true
		}
	}
	return 0, false
}

// end lets go of everything when both streams have ended.
func (w *Writer) end() error {
	w.mu.Lock()
	closed := w.closed
	w.mu.Unlock()
	if closed || !w.streams[0].ended || !w.streams[1].ended {
		return nil
	}
	if err := w.release(); err != nil {
		w.c.log.Error("close a container's log", "path", w.cfg.Path, "err", err)
	}
	close(w.done)
	return nil
}

// advance does one batch of a stream, and says whether there may be another.
func (w *Writer) advance(k *kit, i int) (again bool, err error) {
	if err := w.reopened(); err != nil {
		return false, err
	}
	s := &w.streams[i]
	if s.ended {
		return false, nil
	}
	if w.master >= 0 {
		if err := w.fill(); err != nil {
			return false, err
		}
	}
	b, err := k.look(s.fd)
	switch {
	case errors.Is(err, unix.EAGAIN):
		if w.terminalEnded() {
			return false, w.endStream(i)
		}
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look into %s: %w", s.name, err)
	case len(b) == 0:
		return false, w.endStream(i)
	}
	w.show(i, b)
	n := cut(b)
	if n == 0 {
		last, err := w.cannotGrow(s)
		if err != nil || !last {
			return false, err
		}
		n = len(b)
	}
	return true, w.batch(k, i, b[:n])
}

// cannotGrow tells whether a line without newline must be written as it is: no more of it will come.
func (w *Writer) cannotGrow(s *stream) (bool, error) {
	if w.master >= 0 {
		if w.terminalEnded() {
			return true, nil
		}
	} else {
		events, err := linux.Poll(s.fd, unix.POLLIN)
		if err != nil {
			return false, fmt.Errorf("ask %s for its end: %w", s.name, err)
		}
		if events&unix.POLLHUP != 0 {
			return true, nil
		}
	}
	return linux.PipeFull(s.fd)
}

// fill moves what a terminal has into the line pipe.
func (w *Writer) fill() error {
	for {
		n, err := linux.Splice(w.master, w.streams[0].fd, 4*chunk)
		switch {
		case errors.Is(err, unix.EAGAIN): // nothing there, or the line pipe is full: then a batch follows, and this again
			return nil
		case errors.Is(err, unix.EIO) || err == nil && n == 0:
			w.hungUp = true
			return nil
		case err != nil:
			return fmt.Errorf("read a terminal: %w", err)
		}
		w.hungUp = false
	}
}

// terminalEnded tells whether a terminal will never say anything again: nobody has it open, and nobody is left to open it.
func (w *Writer) terminalEnded() bool {
	if w.master < 0 || !w.hungUp {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone
}

// batch writes the first bytes of a stream, which b has, in the steps of the package's comment.
func (w *Writer) batch(k *kit, i int, b []byte) error {
	at, err := w.current()
	if err != nil {
		return err
	}
	at.stream, at.at = i, time.Now()
	w.rec.note(at)
	if err := fpNoted.Hit(); err != nil {
		return err
	}
	n, err := linux.Splice(w.streams[i].fd, w.inflight, len(b))
	if n == 0 {
		// Somebody else reads this pipe: it is empty after all.
		w.rec.phase.Store(idle)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("move a batch of %s: %w", w.streams[i].name, err)
		}
		return nil
	}
	w.shown(i, n)
	if err := fpSpliced.Hit(); err != nil {
		return err
	}
	return w.complete(k, at, b[:n])
}

// finish does what is left of a batch that was cut off: by the daemon's death, or by a write that failed.
func (w *Writer) finish(k *kit) error {
	switch w.rec.phase.Load() {
	case idle:
		return nil
	case written:
		return w.complete(k, batch{}, nil)
	}
	b, err := k.look(w.inflight)
	if errors.Is(err, unix.EAGAIN) {
		w.rec.phase.Store(idle) // the bytes never left the container's pipe
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into the in-flight pipe: %w", err)
	}
	at, err := w.find(w.rec.batch())
	if err != nil {
		return err
	}
	return w.complete(k, at, b)
}

// complete does the steps from the write on. Without bytes they are written already.
func (w *Writer) complete(k *kit, at batch, b []byte) error {
	n := len(b)
	if w.rec.phase.Load() == noted {
		if err := w.write(k, at, b); err != nil {
			return err
		}
		if err := fpWritten.Hit(); err != nil {
			return err
		}
		w.rec.phase.Store(written)
		if err := fpMarked.Hit(); err != nil {
			return err
		}
	} else {
		n = math.MaxInt32
	}
	if err := w.c.drain(w.inflight, n); err != nil {
		return err
	}
	if err := fpDrained.Hit(); err != nil {
		return err
	}
	w.rec.phase.Store(idle)
	if err := fpCleared.Hit(); err != nil {
		return err
	}
	w.unblocked()
	return w.rotateIfLarge()
}

// write puts the lines of a batch at its offset.
func (w *Writer) write(k *kit, at batch, b []byte) error {
	offset := at.offset
	return format(b, at.at, w.streams[at.stream].name, k.out, func(lines []byte) error {
		for len(lines) > 0 {
			if err := fpWrite.Hit(); err != nil {
				return err
			}
			n, err := unix.Pwrite(w.file, lines, offset)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return fmt.Errorf("write to %s: %w", w.cfg.Path, err)
			}
			lines = lines[n:]
			offset += int64(n)
		}
		return nil
	})
}
