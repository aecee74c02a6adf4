package logs

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// guard ends a test that would hang; nothing is measured by it.
const guard = 60 * time.Second

// TestMain makes this binary the daemon that is killed, and the container that prints, when its arguments say so.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case roleLog:
			os.Exit(logger(os.Args[2:]))
		case rolePrint:
			os.Exit(printer(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}

func newCollector(t testing.TB) *Collector {
	t.Helper()
	c, err := NewCollector(slog.New(slog.NewTextHandler(&testLog{t: t}, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// testLog is where a collector's log goes while the test runs.
type testLog struct{ t testing.TB }

func (l *testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

func newConfig(t testing.TB) Config {
	dir := t.TempDir()
	return Config{Path: filepath.Join(dir, "log", "0.log"), State: filepath.Join(dir, "record")}
}

// open makes pipes and a writer on them.
func open(t testing.TB, c *Collector, cfg Config) (*Writer, *Pipes) {
	t.Helper()
	p, err := NewPipes(false)
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Open(cfg, p.Ends)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := p.CloseTheirs(); err != nil {
			t.Error(err)
		}
	})
	return w, p
}

func guarded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), guard)
	t.Cleanup(cancel)
	return ctx
}

func printTo(t testing.TB, f *os.File, s string) {
	t.Helper()
	if _, err := f.WriteString(s); err != nil {
		t.Fatal(err)
	}
}

// finished ends the container's side and waits until all is written.
func finished(t testing.TB, w *Writer, p *Pipes) {
	t.Helper()
	if err := p.CloseTheirs(); err != nil {
		t.Fatal(err)
	}
	if err := w.Wait(guarded(t)); err != nil {
		t.Fatal(err)
	}
	w.wake(0) // wakes nothing any more
	w.mu.Lock()
	if w.running && !w.over {
		t.Error("a log that has ended goes on")
	}
	w.mu.Unlock()
	for w.file.packing.busy.Load() { // older files are being compressed
		runtime.Gosched()
	}
}

// lines are the lines of a log with its rotated files, oldest first.
func lines(t testing.TB, path string) []Line {
	t.Helper()
	names, err := siblings(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []Line
	for _, name := range append(names, path) {
		if strings.HasSuffix(name, tmpSuffix) {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, gzSuffix) {
			z, err := gzip.NewReader(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if b, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		for line := range bytes.Lines(b) {
			l, err := Parse(line)
			if err != nil {
				t.Fatalf("%s: %q: %v", name, line, err)
			}
			if len(line) > chunk+64 {
				t.Errorf("%s has a line of %d bytes", name, len(line))
			}
			out = append(out, l)
		}
	}
	return out
}

// text is what was printed to one stream.
func text(ls []Line, s Stream) string {
	var b strings.Builder
	for _, l := range ls {
		if l.Stream == s {
			b.Write(l.Text)
		}
	}
	return b.String()
}

// shape is a log without its times: "stdout F text".
func shape(ls []Line) string {
	var b strings.Builder
	for _, l := range ls {
		tag := "F"
		if l.Partial {
			tag = "P"
		}
		fmt.Fprintf(&b, "%s %s %s\n", l.Stream, tag, strings.TrimSuffix(string(l.Text), "\n"))
	}
	return b.String()
}

// buffer is a writer that a test waits on.
type buffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{}
}

func newBuffer() *buffer { return &buffer{more: make(chan struct{}, 1)} }

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.more <- struct{}{}:
	default:
	}
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// wait waits until the text ends with what is wanted.
func (b *buffer) wait(t testing.TB, suffix string) {
	t.Helper()
	end := time.After(guard)
	for !strings.HasSuffix(b.String(), suffix) {
		select {
		case <-b.more:
		case <-end:
			t.Fatalf("got %q, want …%q", b.String(), suffix)
		}
	}
}

// pty makes a terminal. The slave is the container's side.
func pty(t testing.TB) (master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	if slave, err = linux.PTYPeer(master); err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// dup is another os.File of the same descriptor, as the keeper has.
func dup(t testing.TB, f *os.File) *os.File {
	t.Helper()
	rc, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	var derr error
	if err := rc.Control(func(old uintptr) { fd, derr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3) }); err != nil || derr != nil {
		t.Fatal(err, derr)
	}
	return os.NewFile(uintptr(fd), "dup")
}

// attach attaches clients, and returns when they are.
func attach(t testing.TB, w *Writer, stdout, stderr io.Writer) <-chan error {
	t.Helper()
	attached := func() int {
		w.clients.mu.Lock()
		defer w.clients.mu.Unlock()
		return len(w.clients.all)
	}
	before, ended := attached(), make(chan error, 1)
	go func() { ended <- w.Attach(t.Context(), stdout, stderr) }()
	for attached() == before {
		runtime.Gosched()
	}
	return ended
}
