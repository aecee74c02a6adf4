package keeper

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

// replace puts another program at the keeper's path, as an installation does.
func (w *world) replace(with string) {
	w.t.Helper()
	copyFile(w.t, with, w.exe+".new")
	if err := os.Rename(w.exe+".new", w.exe); err != nil {
		w.t.Fatal(err)
	}
}

// upgrade tells the keeper to replace itself and waits until its log says what came of it.
func (w *world) upgrade(want string) {
	w.t.Helper()
	before := strings.Count(w.log(), want)
	if err := unix.Kill(w.keeper, unix.SIGUSR2); err != nil {
		w.t.Fatal(err)
	}
	for strings.Count(w.log(), want) == before {
		if _, err := ask(w.t.Context(), w.state(), Request{Do: "status"}); err != nil && !errors.Is(err, errdefs.ErrUnavailable) {
			w.t.Fatal(err) // a caller in the middle of the execve loses its connection
		}
	}
}

func (w *world) runs(inode uint64) bool {
	w.t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join("/proc", strconv.Itoa(w.keeper), "exe"), &st); err != nil {
		w.t.Fatal(err)
	}
	return st.Ino == inode
}

func TestUpgrade(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	h.do(order{Do: "ready"})
	r, wr := pipe(t)
	h.do(order{Do: "register", Key: "fds"}, r)
	_, release1 := h.child("pending", 11)
	_, release2 := h.child("later", 12)
	release1()
	h.wantExit("pending", 11)
	h.do(order{Do: "register", Key: "unborn"})
	before := w.count(h)
	early, _ := h.do(order{Do: "clone", Child: []string{"/bin/sh", "-c", "exit 13"}})
	w.waitGone(early.PID)
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.replace(test)
		w.upgrade("took over from the program before")
		if !w.runs(hulltest.Inode(t, w.exe)) {
			t.Fatal("the old program runs on")
		}
	}
	// The daemon noticed nothing: same connection, same records, an exit from before that was unmatched.
	w.wantCount(h, before)
	h.do(order{Do: "born", Key: "unborn", PID: early.PID})
	h.wantExit("unborn", 13)
	release2()
	h.wantExit("later", 12)
	rep, files := h.do(order{Do: "records"})
	if len(rep.Records) != 4 || rep.Records[0].Key != "fds" || rep.Records[3].Key != "unborn" || len(files) != 1 {
		t.Fatalf("records %+v, %d descriptors", rep.Records, len(files))
	}
	defer files[0].Close()
	if _, err := wr.WriteString("x"); err != nil {
		t.Error(err)
	}
	a, err := ask(t.Context(), w.state(), Request{Do: "status"})
	if err != nil || a.Daemon.State != stateReady || a.Daemon.PID != h.pid || a.Keeper.PID != w.keeper {
		t.Errorf("%+v, %v", a, err)
	}
	// Nothing of it reaches the next daemon as an open descriptor.
	h.kill()
	h = w.next()
	if got := w.count(h); got[1] != before[1] {
		t.Errorf("a new daemon has %d descriptors, the first had %d", got[1], before[1])
	}
	for _, key := range []string{"pending", "later", "unborn"} {
		r, _ := h.do(order{Do: "exit-event"})
		if r.Exit.Key != key {
			t.Errorf("exit of %s, want %s", r.Exit.Key, key)
		}
	}
}

func TestUpgradeRefusesWhatCannotTakeOver(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	_, release := h.child("c1", 21)
	running := hulltest.Inode(t, w.exe)
	keep := w.exe + ".keep"
	if err := os.Link(w.exe, keep); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(w.dir, "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho no\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(w.dir, "text")
	if err := os.WriteFile(text, []byte("not a program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"/bin/true", script, text} {
		w.replace(bad)
		w.upgrade("the upgrade did not happen")
		if !w.runs(running) {
			t.Fatalf("it became %s", bad)
		}
	}
	release()
	h.wantExit("c1", 21)
	h.kill()
	if err := os.Rename(keep, w.exe); err != nil {
		t.Fatal(err)
	}
	h = w.next()
	h.wantExit("c1", 21)
}

func TestUpgradeBetweenDaemons(t *testing.T) {
	w := newWorld(t)
	h := w.start()
	_, release := h.child("c1", 5)
	if err := h.order(order{Do: "exit"}); err != nil {
		t.Fatal(err)
	}
	w.waitGone(h.pid)
	w.upgrade("took over from the program before")
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
	h.wantExit("c1", 5)
}
