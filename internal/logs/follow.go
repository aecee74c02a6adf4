package logs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// follow reads on until the container has ended and everything is read, across rotations. The order of the questions
// matters: each is asked before the file is read to its end once more, so that nothing can come in between unseen.
func (r *reader) follow(ctx context.Context) error {
	w, err := watchDir(filepath.Dir(r.path))
	if err != nil {
		return fmt.Errorf("follow the log %s: %w", r.path, err)
	}
	defer w.close()
	for {
		ended := isClosed(r.o.Ended)
		moved, err := r.moved()
		if err != nil {
			return err
		}
		some, err := r.all(ctx)
		switch {
		case err == errLimit:
			return nil
		case err != nil:
			return err
		case moved:
			// The name is another file's: nothing is written to ours any more, and it is read to its end.
			if err := r.advance(); err != nil {
				return err
			}
			continue
		case ended:
			return nil
		case some:
			continue
		}
		select {
		case <-w.changed:
		case <-r.o.Ended:
		case <-w.lost: // the directory is gone, and the log with it
			return nil
		case <-ctx.Done():
			return fmt.Errorf("follow the log %s: %w", r.path, context.Cause(ctx))
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// moved tells whether the log's name is another file's by now.
func (r *reader) moved() (bool, error) {
	var now, ours unix.Stat_t
	err := unix.Stat(r.path, &now)
	if err == unix.ENOENT {
		return false, nil // renamed, and the next one is not there yet
	}
	if err == nil {
		err = fstat(r.f, &ours)
	}
	if err != nil {
		return false, fmt.Errorf("stat the log %s: %w", r.path, err)
	}
	return now.Ino != ours.Ino || now.Dev != ours.Dev, nil
}

func fstat(f *os.File, st *unix.Stat_t) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	return errors.Join(rc.Control(func(fd uintptr) { serr = unix.Fstat(int(fd), st) }), serr)
}

// advance opens the file that comes after ours: the log may have been rotated more than once since.
func (r *reader) advance() error {
	names, err := siblings(r.path)
	if err != nil {
		return err
	}
	names = append(names, r.path)
	at, err := r.position(names)
	if err != nil {
		return err
	}
	for _, name := range names[at:] {
		if packed(name) {
			continue
		}
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // renamed once more: found at the next try, by its time
		}
		if err != nil {
			return fmt.Errorf("follow the log to %s: %w", name, err)
		}
		r.f.Close()
		r.f, r.pos, r.buf, r.skip = f, 0, nil, false
		return nil
	}
	return nil
}

func packed(name string) bool {
	return strings.HasSuffix(name, gzSuffix) || strings.HasSuffix(name, tmpSuffix)
}

// position finds the file after ours: by our inode, or, when ours has been compressed or removed, as the first that begins
// at our last line's time or later.
func (r *reader) position(names []string) (int, error) {
	var ours unix.Stat_t
	if err := fstat(r.f, &ours); err != nil {
		return 0, fmt.Errorf("stat the log %s: %w", r.path, err)
	}
	for i, name := range names {
		var st unix.Stat_t
		if err := unix.Stat(name, &st); err == nil && st.Ino == ours.Ino && st.Dev == ours.Dev {
			return i + 1, nil
		}
	}
	for i, name := range names {
		if packed(name) {
			continue
		}
		if f, err := os.Open(name); err == nil {
			first := &reader{path: name, f: f}
			line, err := first.next()
			f.Close()
			if l, perr := Parse(line); err == nil && perr == nil && !l.Time.Before(r.last) {
				return i, nil
			}
		}
	}
	return len(names) - 1, nil
}

// watcher tells of changes in a directory.
type watcher struct {
	f       *os.File
	changed chan struct{} // one signal, however many changes
	lost    chan struct{} // closed when there is nothing to watch any more
}

func watchDir(dir string) (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make an inotify: %w", err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	const mask = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(fd, dir, mask); err != nil {
		f.Close()
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	w := &watcher{f: f, changed: make(chan struct{}, 1), lost: make(chan struct{})}
	go w.read()
	return w, nil
}

// read takes events off the queue. What they say does not matter, but for the end of the directory.
func (w *watcher) read() {
	defer close(w.lost)
	buf := make([]byte, 4096)
	for {
		n, err := w.f.Read(buf)
		if err != nil {
			return
		}
		select {
		case w.changed <- struct{}{}:
		default:
		}
		if linux.InotifyMask(buf[:n])&(unix.IN_IGNORED|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF) != 0 {
			return
		}
	}
}

func (w *watcher) close() {
	w.f.Close()
	<-w.lost
}
