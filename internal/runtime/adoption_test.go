package runtime

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/runtime/fate"
	"github.com/hull-pods/hull/internal/runtime/making"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// withoutDescriptors runs f while this process cannot open any.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	none := limit
	none.Cur = 0
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &none))
	defer func() { must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
	f()
}

// TestNoDescriptorIsNoEnd: a process of which no descriptor can be had just now has not ended for that.
func TestNoDescriptorIsNoEnd(t *testing.T) {
	if !underKeeper(t) {
		return
	}
	w := newWorld(t)
	st := w.sandbox(nil)
	id := w.container(st).ID
	must(t, w.StartContainer(t.Context(), id, Turn{}))
	before, err := w.Container(id)
	must(t, err)
	must(t, w.Close())
	list, err := w.cfg.Keeper.Records(t.Context())
	must(t, err)
	kept := map[string]*keeper.Record{}
	for i := range list {
		kept[list[i].Key] = &list[i]
	}
	old, err := w.all.sandbox(st.ID)
	must(t, err)
	s := w.newSandbox(st.ID, old.rec, making.Done())
	c := w.newContainer(id, s, record.Container{Version: record.Version, Phase: record.Ready, Status: before})
	for name, adopt := range map[string]func() error{
		"container": func() error { return (&containerAdoption{c: c, r: w.Runtime, kept: kept[c.key()]}).run(t.Context()) },
		"sandbox":   func() error { return (&sandboxAdoption{s: s, r: w.Runtime, kept: kept[s.key()]}).run(t.Context()) },
		"stranger":  func() error { return fate.Kill(t.Context(), w.cfg.Keeper, kept[s.key()], w.cfg.Cgroups.ThawProcess) },
	} {
		withoutDescriptors(t, func() { err = adopt() })
		if !errors.Is(err, unix.EMFILE) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c.status().State != ContainerRunning || !s.status().EndedAt.IsZero() {
		t.Errorf("the container is %+v, the sandbox %+v", c.status(), s.status())
	}
	for _, pid := range []int{before.PID, st.PID} {
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err != nil || strings.Contains(string(stat), ") Z ") {
			t.Errorf("process %d: %q, %v", pid, stat, err)
		}
	}

	w.Runtime, err = Open(t.Context(), w.cfg)
	must(t, err)
	if now, err := w.Container(id); err != nil || now.State != ContainerRunning || now.PID != before.PID {
		t.Errorf("after the next start the container is %+v, %v", now, err)
	}
	must(t, w.StopContainer(t.Context(), id, 0))
	if now, err := w.Container(id); err != nil || now.ExitCode != 137 {
		t.Errorf("after its stop the container is %+v, %v", now, err)
	}
}

// TestEndedBeforeAdoption: in a shared PID namespace a start is on record before its PID is known, and stays so. What has ended by the
// time that hulld is back has ended all the same.
func TestEndedBeforeAdoption(t *testing.T) {
	if !underKeeper(t) {
		return
	}
	w := newWorld(t)
	id := w.container(w.sandbox(func(cfg *SandboxConfig) { cfg.SharePID = true })).ID
	must(t, w.StartContainer(t.Context(), id, Turn{}))
	before, err := w.Container(id)
	must(t, err)
	must(t, w.Close())
	must(t, unix.Kill(before.PID, unix.SIGKILL))
	if e := <-w.cfg.Keeper.Exits(); e.PID != before.PID {
		t.Errorf("the exit is of %d, the container was %d", e.PID, before.PID)
	}
	w.Runtime, err = Open(t.Context(), w.cfg)
	must(t, err)
	must(t, w.StopContainer(t.Context(), id, 0))
	if now, err := w.Container(id); err != nil || now.State != ContainerExited || now.ExitCode != 137 {
		t.Errorf("the container is %+v, %v", now, err)
	}
}
