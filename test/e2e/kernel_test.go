package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/hulltest/live"
	"github.com/hull-pods/hull/internal/linux"
)

// inspected is what hull inspect -o json says of a Pod, as far as the tests use it: where to look in the kernel.
type inspected struct {
	Cgroup     string    `json:"cgroup"`
	Infra      process   `json:"infra"`
	Containers []process `json:"containers"`
	IPs        []string  `json:"ips"`
}

type process struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	PID  int    `json:"pid"`
}

func inspect(t testing.TB, h *live.Hull, pod string) inspected {
	t.Helper()
	var in inspected
	if err := json.Unmarshal([]byte(h.Must("inspect", pod, "-o", "json")), &in); err != nil {
		t.Fatal(err)
	}
	return in
}

// running is the process of a container that runs.
func (in inspected) running(t testing.TB, name string) process {
	t.Helper()
	for _, c := range in.Containers {
		if c.Name == name && c.PID != 0 {
			return c
		}
	}
	t.Fatalf("no process of container %s in %+v", name, in)
	return process{}
}

// namespace is the inode of a process' namespace, as the kernel shows it.
func namespace(t testing.TB, pid int, name string) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// startTime is when a process was cloned, in clock ticks since boot (proc(5), stat field 22).
func startTime(t testing.TB, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	ticks, err := strconv.ParseInt(fields[19], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return ticks
}

// interfaces are the network interfaces that a process sees.
func interfaces(t testing.TB, pid int) []string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(data)) {
		if name, _, ok := strings.Cut(line, ":"); ok {
			names = append(names, strings.TrimSpace(name))
		}
	}
	slices.Sort(names)
	return names
}

// programs are the commands of all processes in a Pod's cgroups, by PID.
func programs(t testing.TB, in inspected) map[int]string {
	t.Helper()
	found := map[int]string{}
	pod := filepath.Base(in.Cgroup)
	procs, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		if data, err := os.ReadFile(p); err == nil && bytes.Contains(data, []byte(pod)) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
			comm, cerr := os.ReadFile(filepath.Join(filepath.Dir(p), "comm"))
			if err == nil && cerr == nil {
				found[pid] = strings.TrimSpace(string(comm))
			}
		}
	}
	return found
}

// sharesSandbox checks from /proc that a Pod's containers are in the infra container's namespaces and see its interfaces, and
// that the infra process is the oldest of all the Pod's processes.
func sharesSandbox(t testing.TB, in inspected) {
	t.Helper()
	for _, c := range in.Containers {
		if c.PID == 0 {
			continue
		}
		for _, ns := range []string{"net", "ipc", "uts"} {
			if got, want := namespace(t, c.PID, ns), namespace(t, in.Infra.PID, ns); got != want {
				t.Errorf("container %s has %s, the infra container %s", c.Name, got, want)
			}
		}
		for _, ns := range []string{"mnt", "pid"} {
			if namespace(t, c.PID, ns) == namespace(t, in.Infra.PID, ns) {
				t.Errorf("container %s shares its %s namespace with the infra container", c.Name, ns)
			}
		}
		if got, want := interfaces(t, c.PID), interfaces(t, in.Infra.PID); !slices.Equal(got, want) {
			t.Errorf("container %s sees the interfaces %v, the infra container %v", c.Name, got, want)
		}
	}
	if !slices.Equal(interfaces(t, in.Infra.PID), []string{"eth0", "lo"}) {
		t.Errorf("the infra container sees the interfaces %v", interfaces(t, in.Infra.PID))
	}
	if namespace(t, in.Infra.PID, "net") == namespace(t, os.Getpid(), "net") {
		t.Error("the infra container is in the host's network namespace")
	}
	for pid, name := range programs(t, in) {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil && startTime(t, pid) < startTime(t, in.Infra.PID) {
			t.Errorf("process %d (%s) is older than the infra container", pid, name)
		}
	}
}

// watched is a process that a test holds on to: its number cannot be another's meanwhile.
type watched struct {
	t   testing.TB
	pid int
	fd  *os.File
}

func watchProcess(t testing.TB, pid int) watched {
	t.Helper()
	fd, err := linux.PidfdOpen(pid)
	if err != nil {
		t.Fatalf("process %d: %v", pid, err)
	}
	t.Cleanup(func() { _ = fd.Close() })
	return watched{t, pid, fd}
}

// end waits for the process' end.
func (w watched) end() {
	w.t.Helper()
	if err := linux.PidfdWait(w.fd); err != nil {
		w.t.Fatal(err)
	}
}

// alive tells whether the very process is still there.
func (w watched) alive() bool { return linux.PidfdSignal(w.fd, 0) == nil }

// kill kills the process from the host, as an accident would.
func (w watched) kill() {
	w.t.Helper()
	if err := linux.PidfdSignal(w.fd, killSignal); err != nil {
		w.t.Fatalf("kill process %d: %v", w.pid, err)
	}
	w.end()
}

// nothingRemains fails the test if anything is left of Pods that were removed. The kernel takes a network namespace down in its
// own time, so it is looked again and again, but not for ever.
func nothingRemains(t testing.TB, h *live.Hull) {
	t.Helper()
	if t.Failed() {
		return // what failed may not have come to remove its Pods
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	left := h.Remains()
	for len(left) > 0 && ctx.Err() == nil {
		left = h.Remains()
	}
	if len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// files lists what there is below a directory.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if path != dir {
			list = append(list, path)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return list
}

// TestAnotherPool is a Hull that is started again with another pool: what held the first one together goes, as the end of each
// test here checks.
func TestAnotherPool(t *testing.T) {
	t.Parallel()
	hulltest.NeedRoot(t)
	h := live.Start(t, live.Pool())
	r := routesOfHull(t, h)
	if len(r) == 0 {
		t.Fatal("no route is this Hull's: this test tests nothing")
	}
	if err := h.Restart(t.Context(), "--pod-cidr", "10.87."+strconv.Itoa(rand.IntN(256))+".0/24"); err != nil {
		t.Fatal(err)
	}
	if again := routesOfHull(t, h); len(again) != len(r) || slices.Equal(again, r) {
		t.Errorf("routes %q, and with another pool %q", r, again)
	}
}

func routesOfHull(t *testing.T, h *live.Hull) []string {
	t.Helper()
	return slices.DeleteFunc(h.Leaks(), func(l string) bool { return !strings.HasPrefix(l, "route ") })
}
