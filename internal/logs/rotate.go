package logs

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
)

// Names of rotated files are the kubelet's: 0.log.20260102-150405, and .gz for all but the latest.
const (
	rotatedTime = "20060102-150405"
	gzSuffix    = ".gz"
	tmpSuffix   = ".tmp"
)

var (
	fpRotate   = failpoint.New("logs.rotate")
	fpRotated  = failpoint.New("logs.rotated")
	fpCompress = failpoint.New("logs.compress")
)

// packing says whether a log's older files are being compressed.
type packing struct{ busy atomic.Bool }

// rotateIfLarge begins a new file when this one is large. No batch is in flight. A rotation that fails is not tried again
// before the file has grown as much once more: lines are worth more than sizes.
func (f *file) rotateIfLarge() error {
	if f.maxSize <= 0 || f.fd < 0 {
		return nil
	}
	st, err := f.stat()
	if err != nil || st.Size < f.limit {
		return err
	}
	f.limit = f.maxSize
	if err := f.rotate(); err != nil {
		f.limit = st.Size + f.maxSize
		f.c.log.Error("rotate a container's log", "path", f.path, "err", err)
	}
	return nil
}

func (f *file) rotate() error {
	if err := fpRotate.Hit(); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(f.path, &st); err != nil {
		return fmt.Errorf("stat %s: %w", f.path, err)
	}
	if now, err := f.stat(); err != nil || now.Ino != st.Ino || now.Dev != st.Dev {
		return errors.Join(err, errors.New("another file is in its place"))
	}
	old, err := f.removeExcess()
	if err != nil {
		return err
	}
	to := rotatedName(f.path, time.Now(), old)
	if err := unix.Renameat2(unix.AT_FDCWD, f.path, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE); err != nil {
		return fmt.Errorf("rename to %s: %w", to, err)
	}
	if err := fpRotated.Hit(); err != nil {
		f.c.log.Debug("between two files", "err", err)
	}
	if err := f.close(); err != nil {
		return err
	}
	f.compress(old)
	// If the new file cannot be made now, it is with the next batch, which waits for it as for a full disk.
	_, err = f.current()
	return err
}

// removeExcess removes what a rotation that was cut off has left, and the oldest files, so that with the one that is
// rotated now and the new one there are at most MaxFiles. It returns the files that stay, oldest first.
func (f *file) removeExcess() ([]string, error) {
	names, err := siblings(f.path)
	if err != nil {
		return nil, err
	}
	var errs []error
	if !f.packing.busy.Load() {
		names = slices.DeleteFunc(names, func(name string) bool {
			unused := strings.HasSuffix(name, tmpSuffix) || slices.Contains(names, name+gzSuffix)
			if unused {
				errs = append(errs, os.Remove(name))
			}
			return unused
		})
	} else {
		names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, tmpSuffix) })
	}
	for excess := len(names) - max(0, f.maxFiles-2); excess > 0; excess-- {
		if err := os.Remove(names[0]); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
		names = names[1:]
	}
	return names, errors.Join(errs...)
}

// rotatedName is the name of a file that is rotated now: after all others, by a second if it must be.
func rotatedName(path string, now time.Time, others []string) string {
	name := path + "." + now.Format(rotatedTime)
	if len(others) == 0 {
		return name
	}
	last := strings.TrimSuffix(others[len(others)-1], gzSuffix)
	if name > last {
		return name
	}
	at, err := time.ParseInLocation(rotatedTime, strings.TrimPrefix(last, path+"."), now.Location())
	if err != nil {
		return name // somebody else's file; a clash of names is an error of the rename
	}
	return path + "." + at.Add(time.Second).Format(rotatedTime)
}

// compress compresses the files beside the log, not the one that was rotated just now: who follows the log may still read
// that.
func (f *file) compress(names []string) {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.HasSuffix(name, gzSuffix) })
	if len(names) == 0 || !f.packing.busy.CompareAndSwap(false, true) {
		return
	}
	f.c.tasks.Go(func() {
		defer f.packing.busy.Store(false)
		select {
		case f.c.gzip <- struct{}{}:
		case <-f.c.ctx.Done():
			return
		}
		defer func() { <-f.c.gzip }()
		for _, name := range names {
			err := compressFile(f.c.ctx, name)
			if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, context.Canceled) {
				f.c.log.Error("compress a rotated log", "path", name, "err", err)
			}
		}
	})
}

func compressFile(ctx context.Context, path string) (err error) {
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	tmp := path + tmpSuffix
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, st.Mode().Perm())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp))
		}
	}()
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, &cancelled{ctx, in})
	if err = errors.Join(err, z.Close(), out.Close()); err != nil {
		return err
	}
	if err := fpCompress.Hit(); err != nil {
		return err
	}
	// The rotation may have removed the file meanwhile, as one too many.
	if err := unix.Access(path, unix.F_OK); err != nil {
		return err
	}
	if err := os.Rename(tmp, path+gzSuffix); err != nil {
		return err
	}
	return os.Remove(path)
}

// cancelled is a reader that ends with its context: nothing waits for the end of a compression.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}
