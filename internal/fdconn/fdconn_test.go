package fdconn

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

func pair(t *testing.T) (*Conn, *Conn) {
	t.Helper()
	a, f, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestMessagesKeepTheirBordersAndDescriptors(t *testing.T) {
	a, b := pair(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := a.Send([]byte("one"), w, r); err != nil {
		t.Fatal(err)
	}
	if err := a.Send([]byte("two")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	msg, fds, err := b.Recv(100)
	if err != nil || string(msg) != "one" || len(fds) != 2 {
		t.Fatalf("received %q, %d descriptors, %v", msg, len(fds), err)
	}
	defer fds[1].Close()
	for _, f := range fds {
		var flags int
		if err := control(f, func(fd int) (err error) {
			flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			return err
		}); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("descriptor flags %x, %v: not close-on-exec", flags, err)
		}
	}
	if _, err := fds[0].WriteString("through"); err != nil {
		t.Fatal(err)
	}
	fds[0].Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "through" {
		t.Errorf("the pipe that was sent gave %q, %v", got, err)
	}
	if msg, fds, err := b.Recv(100); err != nil || string(msg) != "two" || len(fds) != 0 {
		t.Errorf("received %q, %d descriptors, %v", msg, len(fds), err)
	}
}

func TestEndComesAfterWhatWasSent(t *testing.T) {
	a, b := pair(t)
	// b has sent something that a never read: the kernel then reports a reset to b before a's messages.
	if err := b.Send([]byte("unread")); err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"1", "2", "3"} {
		if err := a.Send([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
	for _, want := range []string{"1", "2", "3"} {
		if msg, _, err := b.Recv(10); err != nil || string(msg) != want {
			t.Fatalf("received %q, %v; want %q", msg, err, want)
		}
	}
	if _, _, err := b.Recv(10); err != io.EOF {
		t.Errorf("after the last message: %v", err)
	}
	if err := b.Send([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("send to nobody: %v", err)
	}
}

func TestLimits(t *testing.T) {
	a, b := pair(t)
	if err := a.Send(nil); err == nil {
		t.Error("an empty message was sent")
	}
	if err := a.Send(make([]byte, 64<<20)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("64 MiB: %v", err)
	}
	if err := a.SendFDs([]byte("x"), make([]int, MaxFDs+1)); err == nil {
		t.Error("too many descriptors were sent")
	}
	if err := a.Send(bytes.Repeat([]byte("x"), 11)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Recv(10); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a message over the limit: %v", err)
	}
}

func TestManyDescriptors(t *testing.T) {
	before := hulltest.Descriptors(t)
	a, b := pair(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	fds := make([]*os.File, MaxFDs)
	for i := range fds {
		fds[i] = null
	}
	if err := a.Send([]byte("x"), fds...); err != nil {
		t.Fatal(err)
	}
	null.Close()
	_, got, err := b.Recv(1)
	if err != nil || len(got) != MaxFDs {
		t.Fatalf("received %d, %v", len(got), err)
	}
	for _, f := range got {
		f.Close()
	}
	a.Close()
	b.Close()
	if after := hulltest.Descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestDescriptorsThatDoNotFitAreAnErrorAndNoLeak(t *testing.T) {
	a, b := pair(t)
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if err := a.Send([]byte("x"), null, null, null, null); err != nil {
		t.Fatal(err)
	}
	before := hulltest.Descriptors(t)
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	highest, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(highest) // the lowest free number; room for two is left
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(highest + 2), Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	_, _, rerr := b.Recv(10)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	if rerr == nil {
		t.Error("lost descriptors were not reported")
	}
	if after := hulltest.Descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after: %v", before, after, rerr)
	}
}

func TestTryAndWait(t *testing.T) {
	a, b := pair(t)
	if _, _, err := b.TryRecv(10); !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("nothing there: %v", err)
	}
	big := make([]byte, 60<<10)
	sent := 0
	for {
		err := a.TrySend(big, nil)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		sent++
	}
	writable := make(chan error, 1)
	go func() { writable <- a.WaitWritable() }()
	for range sent {
		if err := b.WaitReadable(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.TryRecv(len(big)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-writable; err != nil {
		t.Fatal(err)
	}
	if err := a.TrySend(big, nil); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestManySenders(t *testing.T) {
	a, b := pair(t)
	const senders, each = 8, 500
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				msg := bytes.Repeat([]byte{byte(i)}, 1+n)
				if err := a.Send(msg); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	next := make([]int, senders)
	for range senders * each {
		msg, _, err := b.Recv(each)
		if err != nil {
			t.Fatal(err)
		}
		i := msg[0]
		next[i]++
		if len(msg) != next[i] || !bytes.Equal(msg, bytes.Repeat(msg[:1], len(msg))) {
			t.Fatalf("sender %d: message %d has %d bytes", i, next[i], len(msg))
		}
	}
	wg.Wait()
}

func TestCloseEndsWaits(t *testing.T) {
	a, _ := pair(t)
	got := make(chan error, 1)
	go func() {
		_, _, err := a.Recv(10)
		got <- err
	}()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, os.ErrClosed) {
		t.Errorf("receive on a closed connection: %v", err)
	}
}

func TestDeadline(t *testing.T) {
	a, _ := pair(t)
	if err := a.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Recv(10); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("receive: %v", err)
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for range 2 { // the second replaces the name that the first leaves
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm() != 0o600 {
			t.Fatalf("mode %v, %v", st, err)
		}
		accepted := make(chan *Conn, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}()
		c, err := Dial(path)
		if err != nil {
			t.Fatal(err)
		}
		s := <-accepted
		if uid, err := s.PeerUID(); err != nil || int(uid) != os.Geteuid() {
			t.Errorf("peer uid %d, %v", uid, err)
		}
		if err := c.Send([]byte("hi")); err != nil {
			t.Fatal(err)
		}
		if msg, _, err := s.Recv(10); err != nil || string(msg) != "hi" {
			t.Errorf("received %q, %v", msg, err)
		}
		c.Close()
		s.Close()
		l.Close()
	}
	if _, err := Dial(path); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("connect to nobody: %v", err)
	}
	if _, err := Dial(path + "x"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("connect to nothing: %v", err)
	}
}

func TestNewRefusesOtherThings(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := New(r); err == nil {
		t.Error("a pipe became a connection")
	}
}
