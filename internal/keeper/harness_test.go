package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
	"github.com/hull-pods/hull/internal/linux"
)

// guard ends a test that would hang; nothing is measured by it.
const guard = 60 * time.Second

// world is one keeper under test, with everything around it that the test cleans up.
type world struct {
	t       *testing.T
	dir     string
	exe     string // what the keeper runs as
	keeper  int    // PID
	orders  *fdconn.Listener
	fifos   int
	stopped bool
}

// hulld is one life of the fake daemon.
type hulld struct {
	w    *world
	conn *fdconn.Conn
	pid  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	l, err := fdconn.Listen(filepath.Join(dir, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := linux.SetSubreaper(); err != nil { // a killed keeper's children come to us, and are found and ended
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, exe: filepath.Join(dir, "hull-keeper"), orders: l}
	if err := os.Link(exe, w.exe); err != nil {
		copyFile(t, exe, w.exe)
	}
	t.Cleanup(w.end)
	return w
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

func (w *world) state() string { return filepath.Join(w.dir, "state") }

func (w *world) args() []string { return []string{w.exe, fakeDaemon, filepath.Join(w.dir, "orders")} }

// start starts the keeper and returns the first daemon.
func (w *world) start() *hulld {
	w.t.Helper()
	log, err := os.OpenFile(filepath.Join(w.dir, "keeper.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		w.t.Fatal(err)
	}
	defer log.Close()
	argv := append([]string{w.exe, "--state", w.state(), "--"}, w.args()...)
	w.keeper, err = syscall.ForkExec(w.exe, argv, &syscall.ProcAttr{
		Env: append(os.Environ(), envRole+"=keeper"), Files: []uintptr{log.Fd(), log.Fd(), log.Fd()},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.next()
}

// next waits for the next life of the daemon.
func (w *world) next() *hulld {
	w.t.Helper()
	timer := time.AfterFunc(guard, func() { w.orders.Close() })
	defer timer.Stop()
	conn, err := w.orders.Accept()
	if err != nil {
		w.t.Fatalf("no daemon comes: %v\n%s", err, w.log())
	}
	h := &hulld{w: w, conn: conn}
	h.pid = h.report().PID
	w.t.Cleanup(func() { conn.Close() })
	return h
}

func (w *world) log() string {
	b, _ := os.ReadFile(filepath.Join(w.dir, "keeper.log"))
	return string(b)
}

// try gives an order and returns what came of it.
func (h *hulld) try(o order, fds ...*os.File) (report, []*os.File) {
	h.w.t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		h.w.t.Fatal(err)
	}
	if err := h.conn.Send(b, fds...); err != nil {
		h.w.t.Fatal(err)
	}
	return h.receive()
}

func (h *hulld) receive() (report, []*os.File) {
	h.w.t.Helper()
	if err := h.conn.SetDeadline(time.Now().Add(guard)); err != nil {
		h.w.t.Fatal(err)
	}
	b, files, err := h.conn.Recv(maxMsg)
	if err != nil {
		h.w.t.Fatalf("the daemon's report: %v\n%s", err, h.w.log())
	}
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		h.w.t.Fatal(err)
	}
	return r, files
}

func (h *hulld) report() report {
	h.w.t.Helper()
	r, _ := h.receive()
	return r
}

// do gives an order that must succeed.
func (h *hulld) do(o order, fds ...*os.File) (report, []*os.File) {
	h.w.t.Helper()
	r, files := h.try(o, fds...)
	if r.Err != "" {
		h.w.t.Fatalf("%+v: %s\n%s", o, r.Err, h.w.log())
	}
	return r, files
}

// child registers and makes a child that ends with the code when release is called.
func (h *hulld) child(key string, code int) (pid int, release func()) {
	h.w.t.Helper()
	h.w.fifos++
	fifo := filepath.Join(h.w.dir, "fifo"+strconv.Itoa(h.w.fifos))
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		h.w.t.Fatal(err)
	}
	h.do(order{Do: "register", Key: key})
	script := fmt.Sprintf("read x < %s; exit %d", fifo, code)
	r, _ := h.do(order{Do: "clone", Key: key, Born: true, Child: []string{"/bin/sh", "-c", script}})
	return r.PID, func() {
		f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		if err != nil {
			h.w.t.Error(err)
			return
		}
		f.Close()
	}
}

func (h *hulld) kill() {
	h.w.t.Helper()
	if err := unix.Kill(h.pid, unix.SIGKILL); err != nil {
		h.w.t.Fatal(err)
	}
}

// wantExit waits for the next exit that the daemon is told of.
func (h *hulld) wantExit(key string, code int) {
	h.w.t.Helper()
	r, _ := h.do(order{Do: "exit-event"})
	if r.Exit.Key != key || !r.Exit.Status.Exited() || r.Exit.Status.ExitStatus() != code {
		h.w.t.Fatalf("exit %+v, want %s with %d", r.Exit, key, code)
	}
}

func (h *hulld) records() []reported {
	h.w.t.Helper()
	r, files := h.do(order{Do: "records"})
	closeFiles(files)
	return r.Records
}

// wantOnly has a second keeper refuse to be one.
func (w *world) wantOnly() {
	w.t.Helper()
	cmd := exec.Command(w.exe, append([]string{"--state", w.state(), "--"}, w.args()...)...)
	cmd.Env = append(os.Environ(), envRole+"=keeper")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another keeper holds") {
		w.t.Errorf("a second keeper: %v\n%s", err, out)
	}
}

// movedTo returns what waits until a file of the state directory has got its name.
func (w *world) movedTo() func() {
	w.t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		w.t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	w.t.Cleanup(func() { f.Close() })
	_, err = unix.InotifyAddWatch(fd, w.state(), unix.IN_MOVED_TO)
	if err = errors.Join(err, f.SetReadDeadline(time.Now().Add(guard))); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		w.t.Helper()
		if _, err := f.Read(make([]byte, 4096)); err != nil {
			w.t.Fatalf("nothing comes: %v\n%s", err, w.log())
		}
	}
}

// reap waits for a child of the test.
func (w *world) reap(pid int) unix.WaitStatus {
	w.t.Helper()
	timer := time.AfterFunc(guard, func() { _ = unix.Kill(pid, unix.SIGKILL) })
	defer timer.Stop()
	var s unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &s, 0, nil)
		if err == nil {
			return s
		}
		if err != unix.EINTR {
			w.t.Fatalf("wait for %d: %v", pid, err)
		}
	}
}

// end kills the keeper and then whatever comes to us, being the subreaper: nothing that a test starts survives it.
func (w *world) end() {
	if w.t.Failed() {
		w.t.Logf("the keeper's log:\n%s", w.log())
	}
	w.orders.Close()
	if w.keeper != 0 && !w.stopped {
		_ = unix.Kill(w.keeper, unix.SIGKILL)
		w.reap(w.keeper)
	}
	for {
		pids := children(w.t)
		if len(pids) == 0 {
			return
		}
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
			w.reap(pid)
		}
	}
}

func children(t *testing.T) []int {
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if errors.Is(err, os.ErrNotExist) {
			continue // a thread that ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for word := range strings.FieldsSeq(string(b)) {
			pid, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// wantEOF checks that nobody holds the other end of a pipe any more.
func wantEOF(t *testing.T, r *os.File) {
	t.Helper()
	if err := r.SetReadDeadline(time.Now().Add(guard)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the pipe is still held: %v", err)
	}
}
