package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// maxLine is the longest line of a file that is read; what other programs have made longer is skipped.
const maxLine = 1 << 20

// Options say what of a log to read. The zero value is all that is there now.
type Options struct {
	Tail       *int64    // only so many lines from the end; nil is all. Parts of a line count as lines, as with the kubelet
	Since      time.Time // only lines of this time or later
	Timestamps bool      // each line begins with its time
	Limit      int64     // so many bytes at most; 0 is no limit
	Follow     bool      // go on until Ended is closed and everything is read, or the context is done
	Ended      <-chan struct{}
	Log        *slog.Logger // is told of lines that cannot be read; may be nil
}

// Read writes a container's log to stdout and stderr. A nil writer skips its stream. Rotated files are not read, but a
// rotation is followed.
func Read(ctx context.Context, path string, o Options, stdout, stderr io.Writer) error {
	f, err := openLog(path)
	if err != nil {
		return err
	}
	r := &reader{path: path, f: f, o: o, left: math.MaxInt64, lines: math.MaxInt64}
	r.out[0], r.out[1] = sink{w: stdout, fresh: true}, sink{w: stderr, fresh: true}
	defer func() { r.f.Close() }()
	if o.Limit > 0 {
		r.left = o.Limit
	}
	if o.Tail != nil {
		at, err := tailStart(f, *o.Tail)
		if err != nil {
			return fmt.Errorf("find the end of %s: %w", path, err)
		}
		r.pos, r.seen = at, at > 0
		if !o.Follow {
			r.lines = *o.Tail
		}
	}
	if o.Follow {
		return r.follow(ctx)
	}
	if _, err := r.all(ctx); err != nil && err != errLimit {
		return err
	}
	return nil
}

func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("log %s: %w", path, errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open the log %s: %w", path, err)
	}
	return f, nil
}

// reader reads one file after another.
type reader struct {
	path  string
	f     *os.File
	o     Options
	out   [2]sink
	left  int64 // bytes that may be written
	lines int64 // lines that may be written

	base []byte // the memory of buf
	buf  []byte // read and not handled: at most one line without its newline, between calls
	pos  int64  // of the end of buf in the file
	skip bool   // the rest of the line is skipped
	seen bool   // a line was understood, or the start of the file is not looked at
	last time.Time
}

// sink is where one stream goes.
type sink struct {
	w     io.Writer
	fresh bool // the next line begins a line of output
}

// errLimit says that all that was asked for has been written.
var errLimit = errors.New("limit reached")

// all handles every complete line that is there, and says whether there was any.
func (r *reader) all(ctx context.Context) (some bool, err error) {
	for {
		if r.lines <= 0 || r.left <= 0 {
			return some, errLimit
		}
		line, err := r.next()
		if err == io.EOF {
			return some, nil
		}
		if err != nil {
			return some, fmt.Errorf("read the log %s: %w", r.path, err)
		}
		some = true
		if err := r.handle(line); err != nil {
			return some, err
		}
		if err := context.Cause(ctx); err != nil {
			return some, fmt.Errorf("read the log %s: %w", r.path, err)
		}
	}
}

// next returns the next complete line, until the next call. io.EOF says that there is none yet.
func (r *reader) next() ([]byte, error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(r.buf[scanned:], '\n'); i >= 0 {
			line := r.buf[:scanned+i+1]
			r.buf = r.buf[scanned+i+1:]
			scanned = 0
			if !r.skip {
				return line, nil
			}
			r.skip = false
			continue
		}
		scanned = len(r.buf)
		if scanned > maxLine {
			r.skip = true
		}
		if r.skip {
			r.buf, scanned = r.buf[:0], 0
		}
		if err := r.more(); err != nil {
			return nil, err
		}
	}
}

// more reads some more of the file.
func (r *reader) more() error {
	if cap(r.buf)-len(r.buf) < chunk {
		if cap(r.base)-len(r.buf) < chunk {
			r.base = make([]byte, 0, max(4*chunk, 2*len(r.buf)))
		}
		r.buf = append(r.base, r.buf...)
	}
	n, err := r.f.ReadAt(r.buf[len(r.buf):cap(r.buf)], r.pos)
	r.buf = r.buf[:len(r.buf)+n]
	r.pos += int64(n)
	if n > 0 {
		return nil
	}
	if err == io.EOF {
		// Somebody truncated the file: what comes now begins at its start.
		if st, serr := r.f.Stat(); serr == nil && st.Size() < r.pos {
			r.pos, r.buf, r.skip = 0, nil, false
		}
	}
	return err
}

// handle writes one line. One that is none is skipped, but for the first: then the file is no log at all.
func (r *reader) handle(b []byte) error {
	line, err := Parse(b)
	if err != nil {
		if !r.seen {
			return fmt.Errorf("read the log %s: %w", r.path, err)
		}
		if r.o.Log != nil {
			r.o.Log.Warn("a line of a container's log cannot be read", "path", r.path, "err", err)
		}
		return nil
	}
	r.seen, r.last = true, line.Time
	r.lines--
	if line.Time.Before(r.o.Since) {
		return nil
	}
	out := &r.out[0]
	if line.Stream == Stderr {
		out = &r.out[1]
	}
	if out.w == nil {
		return nil
	}
	text := line.Text
	if r.o.Timestamps && out.fresh {
		stamp := append(line.Time.AppendFormat(nil, timeOut), ' ')
		text = append(stamp, text...)
	}
	out.fresh = !line.Partial
	text = text[:min(int64(len(text)), r.left)]
	r.left -= int64(len(text))
	if _, err := out.w.Write(text); err != nil {
		return fmt.Errorf("write out the log %s: %w", r.path, err)
	}
	return nil
}

// tailStart returns where the last n lines of a file begin. A line without newline at the end does not count.
func tailStart(f io.ReaderAt, n int64) (int64, error) {
	size, err := sizeOf(f)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, chunk)
	for end := size; end > 0; {
		start := max(0, end-chunk)
		b := buf[:end-start]
		if _, err := f.ReadAt(b, start); err != nil && err != io.EOF {
			return 0, err
		}
		for i := bytes.LastIndexByte(b, '\n'); i >= 0; i = bytes.LastIndexByte(b[:i], '\n') {
			if n == 0 {
				return start + int64(i) + 1, nil
			}
			n--
		}
		end = start
	}
	return 0, nil
}

func sizeOf(f io.ReaderAt) (int64, error) {
	st, err := f.(interface{ Stat() (os.FileInfo, error) }).Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
