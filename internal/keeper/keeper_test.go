package keeper

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
)

func TestExitsReachTheDaemonAlive(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	_, release := h.child("c1", 42)
	release()
	h.wantExit("c1", 42)
	if got := h.records(); len(got) != 1 || got[0].Exit == nil || got[0].Exit.Status.ExitStatus() != 42 {
		t.Errorf("records %+v", got)
	}
}

func TestExitsOutliveTheDaemon(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	_, release1 := h.child("before", 1)
	_, release2 := h.child("between", 2)
	_, release3 := h.child("after", 3)
	release1()
	h.wantExit("before", 1)
	release2()
	h.kill()
	h = w.next()
	// Each exit once for this connection: what the first daemon saw comes again, for it was not forgotten.
	seen := map[string]int{}
	for range 2 {
		r, _ := h.do(order{Do: "exit-event"})
		seen[r.Exit.Key] = r.Exit.Status.ExitStatus()
	}
	if fmt.Sprint(seen) != "map[before:1 between:2]" {
		t.Errorf("exits %v", seen)
	}
	h.do(order{Do: "forget", Keys: []string{"before", "between"}})
	release3()
	h.wantExit("after", 3)
	h.kill()
	h = w.next()
	h.wantExit("after", 3)
	if got := h.records(); len(got) != 1 || got[0].Key != "after" {
		t.Errorf("records %+v", got)
	}
}

func TestDescriptorsOutliveTheDaemon(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	r, wr := pipe(t)
	h.do(order{Do: "register", Key: "c1"}, r)
	h.do(order{Do: "add", Key: "c1"}, wr)
	if r, _ := h.try(order{Do: "add", Key: "c2"}, wr); !strings.Contains(r.Err, "not found") {
		t.Errorf("add to nothing: %q", r.Err)
	}
	r.Close()
	if _, err := wr.WriteString("kept"); err != nil {
		t.Fatal(err)
	}
	wr.Close()
	h.kill()
	h = w.next()
	rep, files := h.do(order{Do: "records"})
	if len(rep.Records) != 1 || rep.Records[0].FDs != 2 || len(files) != 2 {
		t.Fatalf("records %+v", rep.Records)
	}
	r = files[0]
	defer r.Close()
	files[1].Close()
	h.do(order{Do: "forget", Keys: []string{"c1"}})
	if b, err := io.ReadAll(r); err != nil || string(b) != "kept" { // the end comes, for the keeper has let go too
		t.Errorf("%q, %v", b, err)
	}
}

func TestDeathBeforeBorn(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	h.do(order{Do: "register", Key: "c1"})
	rep, _ := h.do(order{Do: "clone", Child: []string{"/bin/sh", "-c", "exit 9"}})
	// Reaped for certain: its number is nobody's.
	w.waitGone(rep.PID)
	h.do(order{Do: "born", Key: "c1", PID: rep.PID})
	h.wantExit("c1", 9)
}

// waitGone waits until the keeper has reaped a process: first for its death, then for rounds of the keeper's loop, in one of which
// it hears of that.
func (w *world) waitGone(pid int) {
	w.t.Helper()
	if f, err := linux.PidfdOpen(pid); err == nil {
		defer f.Close()
		if err := linux.PidfdWait(f); err != nil {
			w.t.Fatal(err)
		}
	}
	for until := time.Now().Add(guard); unix.Kill(pid, 0) != unix.ESRCH; {
		if _, err := ask(w.t.Context(), w.state(), Request{Do: "status"}); err != nil {
			w.t.Fatal(err)
		}
		if time.Now().After(until) {
			w.t.Fatalf("process %d is not reaped", pid)
		}
	}
}

func TestDeathOfUnknownChildrenIsSilent(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	// An orphan of a child comes to the keeper, being the subreaper, and must not stay a zombie.
	h.do(order{Do: "register", Key: "c1"})
	out := filepath.Join(w.dir, "orphan")
	rep, _ := h.do(order{Do: "clone", Key: "c1", Born: true, Child: []string{"/bin/sh", "-c", "(sh -c 'echo $$ > " + out + "') & wait; exit 5"}})
	h.wantExit("c1", 5)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	w.waitGone(orphan)
	w.waitGone(rep.PID)
}

func TestRecordWithoutBirthIsForgottenByTheNext(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	h.do(order{Do: "register", Key: "c1"})
	h.do(order{Do: "clone", Child: []string{"/bin/true"}})
	h.kill()
	h = w.next()
	if got := h.records(); len(got) != 1 || got[0].PID != 0 || got[0].Exit != nil {
		t.Errorf("records %+v", got)
	}
	h.do(order{Do: "forget", Keys: []string{"c1", "never-was"}})
	if got := h.records(); len(got) != 0 {
		t.Errorf("records %+v", got)
	}
}

func TestOpenProcess(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	pid, release := h.child("c1", 1)
	_, files := h.do(order{Do: "open", Key: "c1", PID: pid})
	closeFiles(files)
	if r, _ := h.try(order{Do: "open", Key: "c1", PID: h.pid}); !strings.Contains(r.Err, "not found") {
		t.Errorf("another's number: %q", r.Err)
	}
	release()
	h.wantExit("c1", 1)
	if r, _ := h.try(order{Do: "open", Key: "c1", PID: pid}); r.Err == "" {
		t.Error("opened a process that has ended")
	}
}

func TestThousandRecordsAndNoLeak(t *testing.T) {
	const n = 1000
	w := newWorld(t)
	h := w.start()
	base := w.count(h)
	r, wr := pipe(t)
	h.do(order{Do: "register-many", Key: "k", N: n}, wr, wr, wr)
	wr.Close()
	w.wantCount(h, [2]int{base[0] + 3*n, base[1]})
	h.kill()
	h = w.next()
	got := h.records()
	if len(got) != 3 || got[0].Key != "k0" || got[1].Key != "k"+strconv.Itoa(n-1) || got[1].FDs != 3 || got[2].PID != n {
		t.Fatalf("records %+v", got)
	}
	anon, rss := memory(t, w.keeper)
	t.Logf("keeper with %d records of 3 descriptors: RssAnon %d kB, VmRSS %d kB", n, anon, rss)
	var keys []string
	for i := range n {
		keys = append(keys, "k"+strconv.Itoa(i))
	}
	h.do(order{Do: "forget", Keys: keys})
	wantEOF(t, r)
	w.wantCount(h, base)
}

// count is the number of descriptors of the keeper and of the daemon.
func (w *world) count(h *hulld) [2]int {
	w.t.Helper()
	rep, _ := h.do(order{Do: "open-fds"})
	n, err := openFDs(w.keeper)
	if err != nil {
		w.t.Fatal(err)
	}
	return [2]int{n, rep.PID}
}

// wantCount checks the number of descriptors. The keeper closes the connection of a caller on keeper.sock when it gets to
// it, so a number that is too high is looked at again until the guard says that it is a leak.
func (w *world) wantCount(h *hulld, want [2]int) {
	w.t.Helper()
	end := time.Now().Add(guard)
	for {
		got := w.count(h)
		if got == want {
			return
		}
		if got[0] < want[0] || got[1] != want[1] || time.Now().After(end) {
			w.t.Errorf("descriptors of keeper and daemon: %v, want %v", got, want)
			return
		}
	}
}

func memory(t *testing.T, pid int) (anon, rss int) {
	t.Helper()
	f, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if _, err := fmt.Sscanf(s.Text(), "RssAnon: %d kB", &anon); err == nil {
			continue
		}
		_, _ = fmt.Sscanf(s.Text(), "VmRSS: %d kB", &rss)
	}
	return anon, rss
}

// realKeeper is $HULL_BIN's, or one that is built here.
func realKeeper(t *testing.T, dir string) string {
	t.Helper()
	if bin := os.Getenv("HULL_BIN"); bin != "" {
		return filepath.Join(bin, "hull-keeper")
	}
	exe := filepath.Join(dir, "real")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", exe, "github.com/hull-pods/hull/cmd/hull-keeper")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exe
}

// TestMemory holds the real program to its budget.
func TestMemory(t *testing.T) {
	w := newWorld(t)
	w.exe = realKeeper(t, w.dir)
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(w.dir, "keeper.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(w.exe, "--state", w.state(), "--", test, fakeDaemon, filepath.Join(w.dir, "orders"))
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.keeper = cmd.Process.Pid
	h := w.next()
	_, release := h.child("c1", 1)
	release()
	h.wantExit("c1", 1)
	if _, err := ask(t.Context(), w.state(), Request{Do: "status"}); err != nil {
		t.Fatal(err)
	}
	anon, rss := memory(t, w.keeper)
	t.Logf("at rest: RssAnon %d kB, VmRSS %d kB", anon, rss)
	if rss > 4096 {
		t.Errorf("resident %d kB, of which anonymous %d: the budget is 4096", rss, anon)
	}
	_, wr := pipe(t)
	h.do(order{Do: "register-many", Key: "k", N: 1000}, wr, wr, wr)
	full, _ := memory(t, w.keeper)
	t.Logf("with 1,000 records of 3 descriptors: RssAnon %d kB", full)
	if grown := full - anon; grown > 10<<10 {
		t.Errorf("grew by %d kB for 1,000 records", grown)
	}
}

func TestKilledKeeperEndsTheDaemon(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	pid, _ := h.child("c1", 1)
	if err := unix.Kill(w.keeper, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.reap(w.keeper)
	w.stopped = true
	// The daemon comes to us, being the subreaper, and ends by itself with the fake's own code for a lost keeper.
	if s := w.reap(h.pid); s.ExitStatus() != 7 {
		t.Errorf("the daemon ended with %v", s)
	}
	// The lock went with the keeper: the next one starts, and knows nothing of the child, which lives.
	h = w.start()
	w.stopped = false
	if got := h.records(); len(got) != 0 {
		t.Errorf("records %+v", got)
	}
	if err := unix.Kill(pid, 0); err != nil {
		t.Errorf("the child: %v", err)
	}
}

func TestTwoKeepersOfOneState(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	w.wantOnly()
	a, err := ask(t.Context(), w.state(), Request{Do: "status"})
	if err != nil || a.Keeper.PID != w.keeper || a.Daemon.PID != h.pid {
		t.Errorf("the first: %+v, %v", a, err)
	}
}

// TestNamesRemoved: whatever somebody removes of its files, a keeper can be talked to, and stays the only one.
func TestNamesRemoved(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	made := w.movedTo()
	for _, removed := range [][]string{{SocketName}, {PIDName, SocketName}} {
		for _, name := range removed {
			if err := os.Remove(filepath.Join(w.state(), name)); err != nil {
				t.Fatal(err)
			}
		}
		made() // the socket, which is made after the lock
		a, err := ask(t.Context(), w.state(), Request{Do: "status"})
		if err != nil || a.Keeper.PID != w.keeper || a.Daemon.PID != h.pid {
			t.Errorf("without %v: %+v, %v", removed, a, err)
		}
		pid, err := os.ReadFile(filepath.Join(w.state(), PIDName))
		if want := strconv.Itoa(w.keeper) + "\n"; err != nil || string(pid) != want {
			t.Errorf("without %v: %s is %q, %v; want %q", removed, PIDName, pid, err, want)
		}
		w.wantOnly()
	}
	if a, err := ask(t.Context(), w.state(), Request{Do: "stop"}); err != nil || !a.Keeper.Ends {
		t.Fatalf("%+v, %v", a, err)
	}
	if s := w.reap(w.keeper); s.ExitStatus() != 0 {
		t.Errorf("the keeper ended with %v", s)
	}
	w.stopped = true
}

func TestRestartAndStop(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	// Not after exit 0.
	if err := h.order(order{Do: "exit"}); err != nil {
		t.Fatal(err)
	}
	w.waitGone(h.pid)
	a, err := ask(t.Context(), w.state(), Request{Do: "status"})
	if err != nil || a.Daemon.State != stateStopped || a.Daemon.Last != "exited with status 0" {
		t.Fatalf("%+v, %v", a, err)
	}
	// On request, with another command line, answered when it is ready.
	done := make(chan error, 1)
	go func() {
		_, err := StartDaemon(t.Context(), w.state(), append(w.args(), "more"), nil)
		done <- err
	}()
	h = w.next()
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", h.pid)); err != nil || !strings.HasSuffix(string(b), "\x00more\x00") {
		t.Errorf("command line %q, %v", b, err)
	}
	if b, err := os.ReadFile(filepath.Join(w.state(), DaemonPID)); err != nil || strings.TrimSpace(string(b)) != strconv.Itoa(h.pid) {
		t.Errorf("%s holds %q, %v; want %d", DaemonPID, b, err, h.pid)
	}
	h.do(order{Do: "ready"})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// After a failure: at once.
	if err := h.order(order{Do: "exit", N: 4}); err != nil {
		t.Fatal(err)
	}
	w.next()
	// Stop ends both, for nothing lives.
	a, err = ask(t.Context(), w.state(), Request{Do: "stop"})
	if err != nil || !a.Keeper.Ends || a.Daemon.Failures != 1 {
		t.Errorf("stop: %+v, %v", a, err)
	}
	if s := w.reap(w.keeper); s.ExitStatus() != 0 {
		t.Errorf("the keeper ended with %v", s)
	}
	w.stopped = true
	if _, err := ask(t.Context(), w.state(), Request{Do: "status"}); !errors.Is(err, errdefs.ErrUnavailable) {
		t.Errorf("status of nobody: %v", err)
	}
}

// TestStartRightAfterTheEnd: who has seen the daemon end, and asks for it before the keeper has, gets another one.
func TestStartRightAfterTheEnd(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	for range 10 {
		pidfd, err := linux.PidfdOpen(h.pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Kill(w.keeper, unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		if err := h.order(order{Do: "exit"}); err != nil {
			t.Fatal(err)
		}
		if err := linux.PidfdWait(pidfd); err != nil {
			t.Fatal(err)
		}
		_ = pidfd.Close()
		answer := make(chan *Answer, 1)
		go func() {
			a, _ := ask(t.Context(), w.state(), Request{Do: "start"})
			answer <- a
		}()
		if err := unix.Kill(w.keeper, unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if a := <-answer; a == nil || a.Daemon.State != stateStarting || a.Daemon.PID == h.pid {
			t.Fatalf("%+v, the ended one was %d", a, h.pid)
		}
		h = w.next()
		h.do(order{Do: "ready"})
	}
}

// order sends an order that is not answered.
func (h *hulld) order(o order) error {
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return h.conn.Send(b)
}

func TestStopStaysForWhatLives(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	_, release := h.child("c1", 6)
	if err := unix.Kill(w.keeper, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	w.waitGone(h.pid)
	a, err := ask(t.Context(), w.state(), Request{Do: "stop"})
	if err != nil || a.Keeper.Ends || a.Live != 1 || a.Daemon.State != stateStopped {
		t.Fatalf("%+v, %v", a, err)
	}
	release()
	done := make(chan error, 1)
	go func() {
		_, err := StartDaemon(t.Context(), w.state(), nil, nil)
		done <- err
	}()
	h = w.next()
	h.do(order{Do: "ready"})
	if err := <-done; err != nil {
		t.Error(err)
	}
	h.wantExit("c1", 6)
	if a, err = ask(t.Context(), w.state(), Request{Do: "stop"}); err != nil || !a.Keeper.Ends {
		t.Fatalf("%+v, %v", a, err)
	}
	if s := w.reap(w.keeper); s.ExitStatus() != 0 {
		t.Errorf("the keeper ended with %v", s)
	}
	w.stopped = true
}

func TestClosedConnection(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	if err := h.order(order{Do: "close"}); err != nil { // the fake exits when its client is done
		t.Fatal(err)
	}
	h = w.next()
	if got := h.records(); len(got) != 0 {
		t.Errorf("records %+v", got)
	}
}

func TestSocketIsForItsOwner(t *testing.T) {
	hulltest.NeedRoot(t)
	w := newWorld(t)
	w.start()
	sock := filepath.Join(w.state(), SocketName)
	for _, dir := range []string{filepath.Dir(w.dir), w.dir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(sock, 0o666); err != nil { // even where the mode does not protect it
		t.Fatal(err)
	}
	conn, err := net.Dial("unixpacket", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(Request{Do: "status"}); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64<<10)
	n, err := conn.Read(buf)
	var a Answer
	if err != nil || json.Unmarshal(buf[:n], &a) != nil || a.Keeper.PID != w.keeper {
		t.Errorf("as root: %q, %v", buf[:n], err)
	}
	refused := asNobody(t, sock)
	if refused != io.EOF && !errors.Is(refused, unix.ECONNRESET) {
		t.Errorf("as nobody: %v", refused)
	}
}

// asNobody connects from a thread of another user and returns what reading gives.
func asNobody(t *testing.T, sock string) error {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		result <- dialAs(65534, sock)
	}()
	return <-result
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	w.start()
	for _, req := range []string{"{", `{"do":"dance"}`, `[]`} {
		conn, err := net.Dial("unixpacket", filepath.Join(w.state(), SocketName))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(req)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 64<<10)
		n, err := conn.Read(buf)
		var a Answer
		if err != nil || json.Unmarshal(buf[:n], &a) != nil || a.Error == "" {
			t.Errorf("%s: answered %q, %v", req, buf[:n], err)
		}
		conn.Close()
	}
}

func TestDetach(t *testing.T) {
	w := newWorld(t)
	env := append(os.Environ(), envRole+"=keeper")
	type result struct {
		started bool
		err     error
	}
	results := make(chan result, 2)
	for range 2 { // both at once: one starts it, both find it ready
		go func() {
			started, err := Detach(t.Context(), w.exe, w.state(), w.args(), env)
			results <- result{started, err}
		}()
	}
	h := w.next()
	h.do(order{Do: "ready"})
	a, b := <-results, <-results
	if a.err != nil || b.err != nil || a.started == b.started {
		t.Errorf("%+v, %+v", a, b)
	}
	answer, err := ask(t.Context(), w.state(), Request{Do: "stop"})
	if err != nil || !answer.Keeper.Ends {
		t.Fatalf("%+v, %v", answer, err)
	}
	w.reap(answer.Keeper.PID)
	if log, err := os.ReadFile(filepath.Join(w.state(), DaemonLog)); err != nil || !strings.Contains(string(log), "started the daemon") {
		t.Errorf("log %q, %v", log, err)
	}
}

// TestDetachKeepsNothingOpen: what who starts a keeper has left open, a lock of its caller's say, is not open for as long as Pods run.
func TestDetachKeepsNothingOpen(t *testing.T) {
	w := newWorld(t)
	mark := filepath.Join(w.dir, "mark")
	f, err := os.Create(mark)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inherited, err := unix.Dup(int(f.Fd())) // as a shell's 9>file: it goes to every child
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(inherited) }()
	result := make(chan error, 1)
	go func() {
		_, err := Detach(t.Context(), w.exe, w.state(), w.args(), append(os.Environ(), envRole+"=keeper"))
		result <- err
	}()
	h := w.next()
	h.do(order{Do: "ready"})
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	status, err := ask(t.Context(), w.state(), Request{Do: "status"})
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{status.Keeper.PID, status.Daemon.PID} {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		fds, err := os.ReadDir(dir)
		if err != nil || len(fds) < 3 {
			t.Errorf("%s: %d, %v", dir, len(fds), err)
		}
		for _, fd := range fds {
			if to, _ := os.Readlink(filepath.Join(dir, fd.Name())); to == mark {
				t.Errorf("process %d holds what was not for it as descriptor %s", pid, fd.Name())
			}
		}
	}
	answer, err := ask(t.Context(), w.state(), Request{Do: "stop"})
	if err != nil || !answer.Keeper.Ends {
		t.Fatalf("%+v, %v", answer, err)
	}
	w.reap(answer.Keeper.PID)
}

func TestDetachTellsWhyNot(t *testing.T) {
	w := newWorld(t)
	env := append(os.Environ(), envRole+"=keeper")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"/bin/sh", "-c", "exit 3"}, "the daemon exited with status 3"},
		{[]string{"/nonexistent/hulld"}, "the daemon cannot be started"},
	} {
		_, err := Detach(t.Context(), w.exe, w.state(), tt.args, env)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), DaemonLog) {
			t.Errorf("%v: %v", tt.args, err)
		}
		for _, pid := range children(t) { // it has nothing to keep, and ends
			if s := w.reap(pid); s.ExitStatus() != 0 {
				t.Errorf("the keeper ended with %v", s)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Detach(ctx, w.exe, w.state(), w.args(), env); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestLockIsRootsAlone: another user who could open the lock's file could hold the lock, and keep every keeper from starting.
func TestLockIsRootsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), PIDName)
	if err := os.WriteFile(path, []byte("7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := lockPID(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || fi.Mode() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}
