package logs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// file is the log's current file.
type file struct {
	c        *Collector
	path     string
	maxSize  int64
	maxFiles int
	limit    int64 // the size at which it is rotated
	fd       int   // -1 before it is open
	stale    bool  // the path names another one
	packing  packing
}

// current returns where the next batch goes: the end of the file, which is opened if it is not, or opened again if it was
// deleted. Whoever truncates or extends the file behind our back is followed.
func (f *file) current() (batch, error) {
	for range 2 {
		if f.fd < 0 {
			if err := f.open(f.path, unix.O_CREAT); err != nil {
				return batch{}, err
			}
		}
		st, err := f.stat()
		if err != nil {
			return batch{}, err
		}
		if st.Nlink > 0 {
			return batch{offset: st.Size, ino: st.Ino, dev: st.Dev}, nil
		}
		if err := f.close(); err != nil {
			return batch{}, err
		}
	}
	return batch{}, fmt.Errorf("%s is deleted as fast as it is made", f.path)
}

func (f *file) stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return st, fmt.Errorf("stat %s: %w", f.path, err)
	}
	return st, nil
}

func (f *file) open(path string, flags int) error {
	for {
		fd, err := unix.Open(path, flags|unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o640)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("open %s: %w", path, err)
		}
		f.fd = fd
		return nil
	}
}

func (f *file) close() error {
	if f.fd < 0 {
		return nil
	}
	err := unix.Close(f.fd)
	f.fd = -1
	if err != nil {
		return fmt.Errorf("close %s: %w", f.path, err)
	}
	return nil
}

// reopen goes on in what the path names now. No batch is in flight.
func (f *file) reopen() error {
	f.stale = false
	if err := f.close(); err != nil {
		return err
	}
	_, err := f.current()
	return err
}

// find opens the file of a batch that was cut off, which may have another name by now. If it is gone, so is what was
// written of the batch: then what is returned has another offset, in the file that there is.
func (f *file) find(b batch) (batch, error) {
	is := func() (bool, error) {
		st, err := f.stat()
		// A size below the offset is another file with the number of the old one.
		return err == nil && st.Ino == b.ino && st.Dev == b.dev && st.Size >= b.offset, err
	}
	if f.fd >= 0 {
		if ok, err := is(); ok || err != nil {
			return b, err
		}
		if err := f.close(); err != nil {
			return b, err
		}
	}
	names, err := siblings(f.path)
	if err != nil {
		return b, err
	}
	for _, path := range append(names, f.path) {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil || st.Ino != b.ino || st.Dev != b.dev || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		if err := f.open(path, 0); err != nil {
			return b, err
		}
		ok, err := is()
		if err != nil {
			return b, err
		}
		if ok {
			f.stale = path != f.path
			return b, nil
		}
		if err := f.close(); err != nil {
			return b, err
		}
	}
	at, err := f.current()
	if err != nil {
		return b, err
	}
	at.stream, at.length, at.held, at.at = b.stream, b.length, b.held, b.at
	return at, nil
}

// siblings are the rotated files of a log, by their names, which is oldest first.
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
