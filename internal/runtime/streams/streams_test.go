package streams

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// served runs a session whose process the test plays.
func served(t *testing.T, ctx context.Context, st Streams, process func(theirs [3]*os.File, killed <-chan struct{})) error {
	t.Helper()
	p, err := New(st)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	gone, killed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		process(p.Theirs, killed)
	}()
	return p.Serve(ctx, st, gone, func() { close(killed) })
}

func TestServe(t *testing.T) {
	var out, errs bytes.Buffer
	long := strings.Repeat("x", 200<<10) // more than a pipe holds
	err := served(t, t.Context(), Streams{Stdin: strings.NewReader(long), Stdout: &out, Stderr: &errs}, func(f [3]*os.File, _ <-chan struct{}) {
		if _, err := io.Copy(f[1], f[0]); err != nil { // until the end of input
			t.Error(err)
		}
		if _, err := f[2].WriteString("bye"); err != nil {
			t.Error(err)
		}
	})
	if err != nil || out.String() != long || errs.String() != "bye" {
		t.Errorf("%v; %d bytes of %d, and %q", err, out.Len(), len(long), errs.String())
	}
}

// TestServeEndsWithTheProcess: what others still hold of its pipes does not count, and what it wrote last arrives.
func TestServeEndsWithTheProcess(t *testing.T) {
	var out bytes.Buffer
	err := served(t, t.Context(), Streams{Stdout: &out}, func(f [3]*os.File, _ <-chan struct{}) {
		if _, err := f[1].WriteString("last words"); err != nil { // and f[1] stays open
			t.Error(err)
		}
		if f[0] != nil || f[2] != nil {
			t.Error("streams that nobody asked for")
		}
	})
	if err != nil || out.String() != "last words" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// TestServeEndsBesideAWriter: what was left in the background and never stops writing keeps no session open.
func TestServeEndsBesideAWriter(t *testing.T) {
	page := make([]byte, 16<<10)
	background := make(chan *os.File, 1)
	refill := writer(func(b []byte) (int, error) { // whatever is taken, there is more when it has been passed on
		f := <-background
		_, err := f.Write(page)
		background <- f
		return len(b), err
	})
	err := served(t, t.Context(), Streams{Stdout: refill}, func(f [3]*os.File, _ <-chan struct{}) {
		if _, err := f[1].Write(page); err != nil {
			t.Error(err)
		}
		background <- f[1]
	})
	if err != nil {
		t.Error(err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// TestServeEndsWithATerminalInUse: nor does one that has the terminal open.
func TestServeEndsWithATerminalInUse(t *testing.T) {
	var out bytes.Buffer
	p, err := New(Streams{TTY: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	master := os.NewFile(uintptr(fd), "ptmx") // it blocks, as the one that comes from a starter
	slave, err := linux.PTYPeer(master)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slave.Close() }()
	if err := p.Console(master); err != nil {
		t.Fatal(err)
	}
	if _, err := slave.WriteString("last words"); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	close(gone)
	if err := p.Serve(t.Context(), Streams{TTY: true, Stdout: &out}, gone, func() {}); err != nil || out.String() != "last words" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestServeKills(t *testing.T) {
	why := errors.New("the client has gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := served(t, ctx, Streams{Stdout: io.Discard}, func(_ [3]*os.File, killed <-chan struct{}) {
		cancel(why)
		<-killed
	})
	if !errors.Is(err, why) {
		t.Errorf("%v, want %v", err, why)
	}
}

// TestPipe: the process' end blocks, as programs expect; ours does not.
func TestPipe(t *testing.T) {
	for _, weRead := range []bool{true, false} {
		theirs, ours, err := Pipe(weRead)
		if err != nil {
			t.Fatal(err)
		}
		if err := theirs.SetDeadline(time.Time{}); err == nil {
			t.Errorf("we read %t: the process' end is non-blocking", weRead)
		}
		if err := ours.SetDeadline(time.Time{}); err != nil {
			t.Errorf("we read %t: ours blocks: %v", weRead, err)
		}
		again, err := Duplicate(ours)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.SetDeadline(time.Time{}); err != nil {
			t.Errorf("we read %t: its duplicate blocks: %v", weRead, err)
		}
		CloseAll([]*os.File{theirs, ours, again})
	}
}
