package logs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/hulltest"
)

func TestLinesOfTwoStreams(t *testing.T) {
	cfg := newConfig(t)
	w, p := open(t, newCollector(t), cfg)
	seen := newBuffer()
	attach(t, w, seen, seen)
	printTo(t, p.Stdout, "one\ntw")
	seen.wait(t, "one\ntw")
	printTo(t, p.Stderr, "wrong\n\n")
	seen.wait(t, "wrong\n\n")
	printTo(t, p.Stdout, "o\nno newline")
	finished(t, w, p)
	ls := lines(t, cfg.Path)
	var order []string
	for _, l := range ls {
		order = append(order, fmt.Sprint(l.Time.UnixNano()))
	}
	if want := "stdout F one\nstderr F wrong\nstderr F \nstdout F two\nstdout P no newline\n"; shape(ls) != want {
		t.Errorf("got\n%swant\n%s", shape(ls), want)
	}
	if !isSorted(order) {
		t.Errorf("times %v", order)
	}
	st, err := os.Stat(cfg.Path)
	if err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", st, err)
	}
}

func isSorted(s []string) bool {
	for i := 1; i < len(s); i++ {
		if s[i] < s[i-1] {
			return false
		}
	}
	return true
}

func TestTenMegabytesWithoutNewline(t *testing.T) {
	cfg := newConfig(t)
	w, p := open(t, newCollector(t), cfg)
	big := strings.Repeat("0123456789abcdef", 10<<20/16)
	printTo(t, p.Stdout, big+"\nnext\n")
	finished(t, w, p)
	ls := lines(t, cfg.Path)
	if got := text(ls, Stdout); got != big+"\nnext\n" {
		t.Errorf("%d bytes instead of %d", len(got), len(big)+6)
	}
	if len(ls) != 10<<20/chunk+2 {
		t.Errorf("%d lines", len(ls))
	}
}

func TestLineThatThePipeCannotHold(t *testing.T) {
	cfg := newConfig(t)
	w, p := open(t, newCollector(t), cfg)
	// A container may make its pipe small.
	if _, err := unix.FcntlInt(p.Stdout.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	printTo(t, p.Stdout, strings.Repeat("a", 10000)+"\n")
	// Or have each write fill one of the pipe's slots.
	if err := unix.SetNonblock(int(p.Stderr.Fd()), false); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(p.Stderr.Fd(), unix.F_SETFL, unix.O_DIRECT); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		printTo(t, p.Stderr, "b")
	}
	printTo(t, p.Stderr, "\n")
	finished(t, w, p)
	ls := lines(t, cfg.Path)
	if got := text(ls, Stdout); got != strings.Repeat("a", 10000)+"\n" {
		t.Errorf("stdout has %d bytes", len(got))
	}
	if got := text(ls, Stderr); got != strings.Repeat("b", 100)+"\n" {
		t.Errorf("stderr is %q", got)
	}
}

func TestTerminal(t *testing.T) {
	cfg := newConfig(t)
	cfg.TTY = true
	c := newCollector(t)
	p, err := NewPipes(true)
	if err != nil {
		t.Fatal(err)
	}
	master, slave := pty(t)
	w, err := c.Open(cfg, append(p.Ends, dup(t, master)))
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer w.Close()
	printTo(t, slave, "line\n$ ")
	// Who attaches now still sees the line that was begun.
	seen := newBuffer()
	attached := attach(t, w, seen, nil)
	seen.wait(t, "$ ")
	slave.Close()
	// A terminal that nobody has open is not at its end while the container lives: another process opens it again.
	if slave, err = os.OpenFile(name(t, master), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	printTo(t, slave, "ls\n"+strings.Repeat("f", 100000)+"\nbye")
	slave.Close()
	if err := w.Wait(guarded(t)); err != nil {
		t.Fatal(err)
	}
	if err := <-attached; err != nil {
		t.Errorf("attached: %v", err)
	}
	want := "line\r\n$ ls\r\n" + strings.Repeat("f", 100000) + "\r\nbye"
	if got := text(lines(t, cfg.Path), Stdout); got != want {
		t.Errorf("%s", firstDifference(got, want))
	}
	if !strings.HasSuffix(want, seen.String()) || len(seen.String()) < 100000 {
		t.Errorf("attached saw %d bytes", len(seen.String()))
	}
}

func name(t *testing.T, master *os.File) string {
	t.Helper()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("/dev/pts/%d", n)
}

func TestAttach(t *testing.T) {
	cfg := newConfig(t)
	w, p := open(t, newCollector(t), cfg)
	out, errs, both := newBuffer(), newBuffer(), newBuffer()
	ended := []<-chan error{attach(t, w, out, nil), attach(t, w, nil, errs), attach(t, w, both, both)}
	printTo(t, p.Stdout, "a\n? ")
	out.wait(t, "? ")
	both.wait(t, "? ")
	printTo(t, p.Stderr, "b\n")
	errs.wait(t, "b\n")
	printTo(t, p.Stdout, "yes\n")
	finished(t, w, p)
	for _, e := range ended {
		if err := <-e; err != nil {
			t.Error(err)
		}
	}
	if out.String() != "a\n? yes\n" || errs.String() != "b\n" || len(both.String()) != len("a\n? yes\nb\n") {
		t.Errorf("%q, %q, %q", out, errs, both)
	}
	if err := w.Attach(t.Context(), out, errs); err != nil { // the end, at once
		t.Error(err)
	}
}

// stuck is a client that takes nothing until the test ends.
type stuck struct{ free chan struct{} }

func (s *stuck) Write(b []byte) (int, error) {
	<-s.free
	return len(b), nil
}

func TestSlowClientIsCutOff(t *testing.T) {
	cfg := newConfig(t)
	w, p := open(t, newCollector(t), cfg)
	s := &stuck{free: make(chan struct{})}
	ended := attach(t, w, s, nil)
	block := strings.Repeat(strings.Repeat("x", 99)+"\n", 100)
	for range 3 * attachMost / len(block) { // the container does not wait
		printTo(t, p.Stdout, block)
	}
	finished(t, w, p)
	close(s.free)
	if err := <-ended; !errors.Is(err, ErrSlow) {
		t.Errorf("%v", err)
	}
}

func TestCloseAndOpenAgain(t *testing.T) {
	cfg := newConfig(t)
	c := newCollector(t)
	p, err := NewPipes(false)
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for i := range 50 {
		var kept []*os.File
		for _, f := range p.Ends {
			kept = append(kept, dup(t, f))
		}
		w, err := c.Open(cfg, p.Ends)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("line %d\npart", i)
		want.WriteString(line)
		printTo(t, p.Stdout, line)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		p.Ends = kept
	}
	w, err := c.Open(cfg, p.Ends)
	if err != nil {
		t.Fatal(err)
	}
	finished(t, w, p)
	if got := text(lines(t, cfg.Path), Stdout); got != want.String() {
		t.Error(firstDifference(got, want.String()))
	}
	if err := w.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// TestErrorAtEveryFailpoint: a step that fails is done again by the timer, and nothing is lost or doubled.
func TestErrorAtEveryFailpoint(t *testing.T) {
	t.Cleanup(func() { _ = failpoint.Set("") })
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			cfg := newConfig(t)
			cfg.MaxSize, cfg.MaxFiles = 2000, 100
			c := newCollector(t)
			c.retry = 1
			w, p := open(t, c, cfg)
			if err := failpoint.Set(point + "=error@2"); err != nil {
				t.Fatal(err)
			}
			seen := newBuffer()
			attach(t, w, seen, nil)
			var want strings.Builder
			for i := range 200 {
				line := fmt.Sprintf("line %d\n", i)
				want.WriteString(line)
				printTo(t, p.Stdout, line)
				if i%20 == 0 {
					seen.wait(t, line)
				}
			}
			finished(t, w, p)
			if got := text(lines(t, cfg.Path), Stdout); got != want.String() {
				t.Error(firstDifference(got, want.String()))
			}
		})
	}
}

func TestDiskFull(t *testing.T) {
	hulltest.NeedRoot(t)
	cfg := newConfig(t)
	dir := filepath.Dir(cfg.Path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 900<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 10)
	cfg.OnDiskFull = func(err error) { told <- err }
	c := newCollector(t)
	c.retry = 1e6
	w, p := open(t, c, cfg)
	line := strings.Repeat("y", 200) + "\n"
	const n = 2000 // more than the disk and the pipes hold
	printed := make(chan error, 1)
	go func() {
		for range n {
			if _, err := p.Stdout.WriteString(line); err != nil {
				printed <- err
				return
			}
		}
		printed <- nil
	}()
	if err := <-told; !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("told %v", err)
	}
	select {
	case <-printed:
		t.Fatal("the container did not wait")
	default:
	}
	// A daemon that starts now does not fail either.
	kept := dup3(t, w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, err := c.Open(cfg, kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-told; !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("told %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := <-told; err != nil {
		t.Fatalf("told %v", err)
	}
	if err := <-printed; err != nil {
		t.Fatal(err)
	}
	finished(t, w, p)
	if got := text(lines(t, cfg.Path), Stdout); got != strings.Repeat(line, n) {
		t.Errorf("%d bytes instead of %d: %s", len(got), n*len(line), firstDifference(got, strings.Repeat(line, n)))
	}
}

// dup3 duplicates a writer's ends, as the keeper had them before.
func dup3(t *testing.T, w *Writer) []*os.File {
	t.Helper()
	var files []*os.File
	for _, fd := range []int{w.streams[0].fd, w.streams[1].fd, w.streams[0].inflight, w.streams[1].inflight} {
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, os.NewFile(uintptr(n), "kept"))
	}
	return files
}

func TestFileBehindOurBack(t *testing.T) {
	cfg := newConfig(t)
	w, p := open(t, newCollector(t), cfg)
	seen := newBuffer()
	attach(t, w, seen, nil)
	say := func(s string) {
		printTo(t, p.Stdout, s)
		seen.wait(t, s)
	}
	say("1\n")
	// The kubelet's way: rename, then Reopen; until then the old file is written.
	old := cfg.Path + ".20260102-150405"
	waitFor(t, w, cfg.Path, "1\n")
	if err := os.Rename(cfg.Path, old); err != nil {
		t.Fatal(err)
	}
	say("2\n")
	waitFor(t, w, old, "1\n2\n")
	w.Reopen()
	say("3\n")
	waitFor(t, w, cfg.Path, "3\n")
	// Truncated: goes on at the start, and not after a hole.
	if err := os.Truncate(cfg.Path, 0); err != nil {
		t.Fatal(err)
	}
	say("4\n")
	waitFor(t, w, cfg.Path, "4\n")
	// Deleted: a new one.
	if err := os.Remove(cfg.Path); err != nil {
		t.Fatal(err)
	}
	say("5\n")
	finished(t, w, p)
	if got := shape(lines(t, cfg.Path)); got != "stdout F 1\nstdout F 2\nstdout F 5\n" {
		t.Errorf("got\n%s", got)
	}
}

// waitFor waits until a file has the text: the batch is complete when the record says so.
func waitFor(t *testing.T, w *Writer, path, want string) {
	t.Helper()
	watch, err := watchDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	defer watch.close()
	for {
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		var got strings.Builder
		for line := range bytes.Lines(b) {
			if l, err := Parse(line); err == nil {
				got.Write(l.Text)
			}
		}
		if got.String() == want {
			break
		}
		select {
		case <-watch.changed:
		case <-guarded(t).Done():
			t.Fatalf("%s has %q, want %q", path, got.String(), want)
		}
	}
	for w.rec.phase.Load() != idle {
		runtime.Gosched()
	}
}

func TestRenamedBetweenTwoDaemons(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprint("gone=", gone), func(t *testing.T) {
			t.Cleanup(func() { _ = failpoint.Set("") })
			cfg := newConfig(t)
			c := newCollector(t)
			c.retry = guard // the second daemon comes first
			told := make(chan error, 1)
			first := cfg
			first.OnDiskFull = func(err error) { told <- err }
			w, p := open(t, c, first)
			kept := dup3(t, w)
			if err := failpoint.Set("logs.written=error"); err != nil {
				t.Fatal(err)
			}
			printTo(t, p.Stdout, "1\n")
			if err := <-told; !errors.Is(err, failpoint.ErrInjected) {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			// The file has the line, the record says that it may not.
			if err := os.Rename(cfg.Path, cfg.Path+".20260102-150405"); err != nil {
				t.Fatal(err)
			}
			if gone {
				if err := os.Remove(cfg.Path + ".20260102-150405"); err != nil {
					t.Fatal(err)
				}
			}
			w, err := c.Open(cfg, kept)
			if err != nil {
				t.Fatal(err)
			}
			printTo(t, p.Stdout, "2\n")
			finished(t, w, p)
			if got := shape(lines(t, cfg.Path)); got != "stdout F 1\nstdout F 2\n" {
				t.Errorf("got\n%s", got)
			}
			b, err := os.ReadFile(cfg.Path)
			if err != nil || bytes.Count(b, []byte("\n")) != map[bool]int{false: 1, true: 2}[gone] {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	c := newCollector(t)
	before := hulltest.Descriptors(t)
	for _, tt := range []struct {
		name string
		bad  func(*Config, *Pipes)
	}{
		{"three ends", func(_ *Config, p *Pipes) { p.Ends[3].Close(); p.Ends = p.Ends[:3] }},
		{"a record of another version", func(cfg *Config, _ *Pipes) {
			if err := os.WriteFile(cfg.State, bytes.Repeat([]byte{9}, recordSize), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"no directory for the record", func(cfg *Config, _ *Pipes) { cfg.State += "/x/y" }},
		{"a log that is a directory", func(cfg *Config, _ *Pipes) {
			if err := os.MkdirAll(cfg.Path, 0o755); err != nil {
				t.Fatal(err)
			}
		}},
		{"a log that is a link", func(cfg *Config, _ *Pipes) {
			if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("/etc/passwd", cfg.Path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		cfg := newConfig(t)
		p, err := NewPipes(false)
		if err != nil {
			t.Fatal(err)
		}
		tt.bad(&cfg, p)
		if _, err := c.Open(cfg, p.Ends); err == nil {
			t.Errorf("%s: opened", tt.name)
		}
		if err := p.CloseTheirs(); err != nil {
			t.Error(err)
		}
	}
	if after := hulltest.Descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// TestIdleContainersCostLittle holds writers to what the package's comment says.
func TestIdleContainersCostLittle(t *testing.T) {
	const n = 500
	c := newCollector(t)
	dir := t.TempDir()
	type one struct {
		w *Writer
		p *Pipes
	}
	var all []one
	open := func() {
		p, err := NewPipes(false)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, fmt.Sprint(len(all)))
		w, err := c.Open(Config{Path: filepath.Join(path, "0.log"), State: path + ".record"}, p.Ends)
		if err != nil {
			t.Fatal(err)
		}
		printTo(t, p.Stdout, "hello\n")
		for st, err := os.Stat(path + "/0.log"); err != nil || st.Size() == 0 || w.rec.phase.Load() != idle; st, err = os.Stat(path + "/0.log") {
			runtime.Gosched()
		}
		all = append(all, one{w, p})
	}
	for range 10 { // what comes once
		open()
	}
	fds, before := hulltest.Descriptors(t), heap()
	goroutines := runtime.NumGoroutine()
	for range n {
		open()
	}
	if got := hulltest.Descriptors(t) - fds; got != n*(5+2) { // the two of the container's side are here too
		t.Errorf("%d descriptors for %d containers", got-2*n, n)
	}
	if got := runtime.NumGoroutine() - goroutines; got > 10 {
		t.Errorf("%d goroutines for %d idle containers", got, n)
	}
	each := (heap() - before) / n
	t.Logf("a container costs %d bytes of heap", each)
	if each > 8<<10 {
		t.Errorf("a container costs %d bytes of heap", each)
	}
	for _, o := range all {
		if err := errors.Join(o.p.CloseTheirs(), o.w.Wait(guarded(t)), o.w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	if got := hulltest.Descriptors(t) - fds + 10*(5+2); got != 0 {
		t.Errorf("%d descriptors are left", got)
	}
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
