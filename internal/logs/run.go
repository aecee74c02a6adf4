package logs

import (
	"errors"
	"fmt"
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
	fpFilled  = failpoint.New("logs.filled")
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
	if !w.closed && !w.blocked && !w.over && (w.ready[0] || w.ready[1]) {
		w.running = true
		go w.run()
	}
	if w.closed && !w.running {
		close(w.stopped)
	}
}

// turn does some batches and says whether there may be more.
func (w *Writer) turn(k *kit) (more bool, err error) {
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
	if closed || w.streams[0].fd >= 0 || w.streams[1].fd >= 0 {
		return nil
	}
	if err := w.release(); err != nil {
		w.c.log.Error("close a container's log", "path", w.cfg.Path, "err", err)
	}
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	close(w.done)
	return nil
}

// advance does one batch of a stream, and says whether there may be another.
func (w *Writer) advance(k *kit, i int) (again bool, err error) {
	w.mu.Lock()
	reopen := w.reopen || w.file.stale
	w.reopen = false
	w.mu.Unlock()
	if reopen {
		if err := w.file.reopen(); err != nil {
			return false, err
		}
	}
	s := &w.streams[i]
	if s.fd < 0 {
		return false, nil
	}
	if err := w.fill(s); err != nil {
		return false, err
	}
	if err := fpFilled.Hit(); err != nil {
		return false, err
	}
	b, err := k.look(s.inflight, chunk)
	if err != nil {
		return false, err
	}
	if len(b) == 0 {
		if w.hasEnded(s) {
			return false, w.closeStream(i)
		}
		return false, nil
	}
	w.clients.show(i, b)
	n := cut(b)
	if n == 0 {
		if !w.hasEnded(s) {
			grown, err := makeRoom(s.inflight)
			if err != nil || grown != full {
				return grown == more, err
			}
		}
		n = len(b)
	}
	return true, w.batch(k, i, b[:n])
}

// fill moves what the container has printed into the in-flight pipe, until there is no more or no room.
func (w *Writer) fill(s *stream) error {
	for !s.ended {
		n, err := linux.Splice(s.fd, s.inflight, 4*chunk)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case w.cfg.TTY && (errors.Is(err, unix.EIO) || err == nil && n == 0):
			s.hungUp = true // for now: somebody may open it again
			return nil
		case err != nil:
			return fmt.Errorf("take what was printed to %s: %w", s.name, err)
		case n == 0:
			s.ended = true
		}
		s.hungUp = false
	}
	return nil
}

// hasEnded tells whether nothing will ever be printed again: a pipe without writers, or a terminal that nobody has open
// and nobody is left to open.
func (w *Writer) hasEnded(s *stream) bool {
	if s.ended || !s.hungUp {
		return s.ended
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gone
}

// room is what became of a pipe that should hold more.
type room int

const (
	enough room = iota // it has room: there was no more to take
	more               // it has room now
	full               // it has none and gets none
)

// makeRoom grows an in-flight pipe in which a line has come in many pieces, each of which takes a slot.
func makeRoom(fd int) (room, error) {
	events, err := linux.Poll(fd, unix.POLLOUT)
	if err != nil {
		return full, fmt.Errorf("ask the in-flight pipe for room: %w", err)
	}
	if events&unix.POLLOUT != 0 {
		return enough, nil
	}
	size, err := unix.FcntlInt(uintptr(fd), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return full, fmt.Errorf("ask the in-flight pipe for its size: %w", err)
	}
	if size >= pieces<<12 || linux.GrowPipe(fd, pieces<<12) != nil {
		return full, nil
	}
	return more, nil
}

// batch writes the first bytes of a stream, which b has, in the steps of the package's comment.
func (w *Writer) batch(k *kit, i int, b []byte) error {
	at, err := w.file.current()
	if err != nil {
		return err
	}
	at.stream, at.length, at.at = i, len(b), time.Now()
	if at.held, err = linux.PipeHolds(w.streams[i].inflight); err != nil {
		return err
	}
	w.rec.note(at)
	if err := fpNoted.Hit(); err != nil {
		return err
	}
	return w.complete(k, at, b)
}

// finish does what is left of a batch that was cut off: by the daemon's death, or by a write that failed.
func (w *Writer) finish(k *kit) error {
	phase := w.rec.phase.Load()
	if phase == idle {
		return nil
	}
	at := w.rec.batch()
	s := &w.streams[at.stream]
	if s.fd < 0 {
		return fmt.Errorf("the record of %s has a batch of %s, which has ended", w.cfg.Path, s.name)
	}
	if phase == written {
		return w.complete(k, at, nil)
	}
	b, err := k.look(s.inflight, at.length)
	if err != nil {
		return err
	}
	if len(b) != at.length {
		return fmt.Errorf("the record of %s has a batch of %d bytes, and %d are in flight", w.cfg.Path, at.length, len(b))
	}
	found, err := w.file.find(at)
	if err != nil {
		return err
	}
	if found != at {
		w.rec.note(found)
	}
	return w.complete(k, found, b)
}

// complete does the steps from the write on, or from the drain on if the batch is written.
func (w *Writer) complete(k *kit, at batch, b []byte) error {
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
	}
	inflight := w.streams[at.stream].inflight
	held, err := linux.PipeHolds(inflight)
	if err != nil {
		return err
	}
	// A drain that was cut off has taken a part of the batch.
	if err := w.c.drain(inflight, held-(at.held-at.length)); err != nil {
		return err
	}
	if err := fpDrained.Hit(); err != nil {
		return err
	}
	w.rec.phase.Store(idle)
	w.clients.shown(at.stream, at.length)
	if err := fpCleared.Hit(); err != nil {
		return err
	}
	w.unblocked()
	return w.file.rotateIfLarge()
}

// write puts the lines of a batch at its offset.
func (w *Writer) write(k *kit, at batch, b []byte) error {
	offset := at.offset
	return format(b, at.at, w.streams[at.stream].name, k.out, func(lines []byte) error {
		for len(lines) > 0 {
			if err := fpWrite.Hit(); err != nil {
				return err
			}
			n, err := unix.Pwrite(w.file.fd, lines, offset)
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
