package logs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// current returns where the next batch goes: the end of the file, which is opened if it is not, or opened again if it was
// deleted. Whoever truncates or extends the file behind our back is followed.
func (w *Writer) current() (batch, error) {
	for range 2 {
		if w.file < 0 {
			if err := w.openFile(w.cfg.Path, unix.O_CREAT); err != nil {
				return batch{}, err
			}
		}
		st, err := w.stat()
		if err != nil {
			return batch{}, err
		}
		if st.Nlink > 0 {
			return batch{offset: st.Size, ino: st.Ino, dev: st.Dev}, nil
		}
		if err := w.closeFile(); err != nil {
			return batch{}, err
		}
	}
	return batch{}, fmt.Errorf("%s is deleted as fast as it is made", w.cfg.Path)
}

func (w *Writer) stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(w.file, &st); err != nil {
		return st, fmt.Errorf("stat %s: %w", w.cfg.Path, err)
	}
	return st, nil
}

func (w *Writer) openFile(path string, flags int) error {
	for {
		fd, err := unix.Open(path, flags|unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o640)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		w.file = fd
		return nil
	}
}

func (w *Writer) closeFile() error {
	if w.file < 0 {
		return nil
	}
	err := unix.Close(w.file)
	w.file = -1
	if err != nil {
		return fmt.Errorf("close %s: %w", w.cfg.Path, err)
	}
	return nil
}

// reopened does what Reopen asked for. No batch is in flight.
func (w *Writer) reopened() error {
	w.mu.Lock()
	asked := w.reopen
	w.reopen = false
	w.mu.Unlock()
	if !asked {
		return nil
	}
	if err := w.closeFile(); err != nil {
		return err
	}
	_, err := w.current()
	return err
}

// find opens the file of a batch that was cut off, which may have another name by now. If it is gone, so is what was
// written of the batch: it is noted anew, for the file that there is.
func (w *Writer) find(b batch) (batch, error) {
	is := func() (bool, error) {
		st, err := w.stat()
		// A size below the offset is another file with the number of the old one.
		return err == nil && st.Ino == b.ino && st.Dev == b.dev && st.Size >= b.offset, err
	}
	if w.file >= 0 {
		if ok, err := is(); ok || err != nil {
			return b, err
		}
		if err := w.closeFile(); err != nil {
			return b, err
		}
	}
	names, err := w.siblings()
	if err != nil {
		return b, err
	}
	for _, path := range append(names, w.cfg.Path) {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil || st.Ino != b.ino || st.Dev != b.dev || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		if err := w.openFile(path, 0); err != nil {
			return b, err
		}
		ok, err := is()
		if err != nil {
			return b, err
		}
		if ok {
			if path != w.cfg.Path {
				w.mu.Lock()
				w.reopen = true // for the batches after this one
				w.mu.Unlock()
			}
			return b, nil
		}
		if err := w.closeFile(); err != nil {
			return b, err
		}
	}
	at, err := w.current()
	if err != nil {
		return b, err
	}
	at.stream, at.length, at.held, at.at = b.stream, b.length, b.held, b.at
	w.rec.note(at)
	return at, nil
}

// siblings are the rotated files of this log, by their names, which is oldest first.
func (w *Writer) siblings() ([]string, error) {
	return siblings(w.cfg.Path)
}

func siblings(path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(path)) // sorted
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list the rotated files of %s: %w", path, err)
	}
	var paths []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(path)+".") {
			paths = append(paths, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return paths, nil
}
