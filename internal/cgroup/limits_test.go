package cgroup_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/hulltest"
)

// usual is a container's device rules: nothing, mknod of all, and null, zero and the like.
var usual = []cgroup.DeviceRule{
	{Type: "a", Major: -1, Minor: -1, Access: "rwm"},
	{Allow: true, Type: "c", Major: -1, Minor: -1, Access: "m"},
	{Allow: true, Type: "b", Major: -1, Minor: -1, Access: "m"},
	{Allow: true, Type: "c", Major: 1, Minor: 3, Access: "rwm"},
	{Allow: true, Type: "c", Major: 1, Minor: 5, Access: "rwm"},
	{Allow: true, Type: "c", Major: 136, Minor: -1, Access: "rwm"},
}

// v1dir is a group's directory in one v1 hierarchy.
func v1dir(g *cgroup.Group, controller string) string {
	return filepath.Join("/sys/fs/cgroup", controller, g.Path())
}

// needV1 is for tests that look into v1's files.
func needV1(t *testing.T, tr *cgroup.Tree) {
	t.Helper()
	if tr.Unified() {
		t.Skip("this host has cgroup v2 alone")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func remove(t *testing.T, g *cgroup.Group) {
	t.Helper()
	if err := errors.Join(g.Remove(t.Context()), g.Prune()); err != nil {
		t.Error(err)
	}
}

// ended waits for a process that was killed, or ended by itself.
func ended(cmd *exec.Cmd) { _ = cmd.Wait() }

// TestDeviceLists compares the short way of a fresh group with the library's, which goes by what is set.
func TestDeviceLists(t *testing.T) {
	tr, _ := tree(t)
	needV1(t, tr)
	deny := cgroup.DeviceRule{Type: "c", Major: 1, Minor: 5, Access: "w"}
	for name, tt := range map[string]struct {
		rules []cgroup.DeviceRule
		want  string
	}{
		"usual":  {usual, "b *:* m\nc *:* m\nc 136:* rwm\nc 1:3 rwm\nc 1:5 rwm"},
		"all":    {[]cgroup.DeviceRule{{Allow: true, Type: "a", Major: -1, Minor: -1, Access: "rwm"}}, "a *:* rwm"},
		"denied": {append(slices.Clone(usual), deny), "b *:* m\nc *:* m\nc 136:* rwm\nc 1:3 rwm\nc 1:5 rm"},
		"none":   {nil, "a *:* rwm"},
	} {
		g, err := tr.Create("podd/c", cgroup.Resources{Devices: tt.rules})
		if err != nil {
			t.Fatal(err)
		}
		list := filepath.Join(v1dir(g, "devices"), "devices.list")
		sorted := func() string {
			lines := strings.Split(read(t, list), "\n")
			slices.Sort(lines)
			return strings.Join(lines, "\n")
		}
		if got := sorted(); got != tt.want {
			t.Errorf("%s: devices.list %q, want %q", name, got, tt.want)
		}
		if err := g.Set(cgroup.Resources{Devices: tt.rules}); err != nil {
			t.Errorf("%s: set again: %v", name, err)
		}
		if got := sorted(); got != tt.want {
			t.Errorf("%s: set again: devices.list %q, want %q", name, got, tt.want)
		}
		if err := g.Remove(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	remove(t, tr.Load("podd"))
}

func TestLimitsAreSetAndChanged(t *testing.T) {
	tr, _ := tree(t)
	needV1(t, tr)
	g, err := tr.Create("podl", cgroup.Resources{CPUShares: 2, CPUQuota: 50000, CPUPeriod: 100000, Memory: 64 << 20, Swap: 64 << 20, Cpus: "0", Mems: "0"})
	if err != nil {
		t.Fatal(err)
	}
	defer remove(t, g)
	check := func(controller, file, want string) {
		t.Helper()
		if got := read(t, filepath.Join(v1dir(g, controller), file)); got != want {
			t.Errorf("%s is %s, want %s", file, got, want)
		}
	}
	check("cpu", "cpu.shares", "2")
	check("cpu", "cpu.cfs_quota_us", "50000")
	check("cpuset", "cpuset.cpus", "0")
	check("pids", "pids.max", "max")
	if err := g.Set(cgroup.Resources{CPUQuota: -1, Memory: 128 << 20, Swap: 256 << 20, PidsLimit: 7}); err != nil {
		t.Fatal(err)
	}
	check("cpu", "cpu.cfs_quota_us", "-1")
	check("cpu", "cpu.shares", "2")
	check("memory", "memory.limit_in_bytes", fmt.Sprint(128<<20))
	check("pids", "pids.max", "7")
}

func TestFailedCreateLeavesNothing(t *testing.T) {
	tr, _ := tree(t)
	pod, err := tr.Create("podf", cgroup.Resources{})
	if err != nil {
		t.Fatal(err)
	}
	defer remove(t, pod)
	for _, r := range []cgroup.Resources{
		{Cpus: "99999"},
		{Devices: []cgroup.DeviceRule{usual[0], {Allow: true, Type: "x", Access: "rwm"}}},
	} {
		if _, err := tr.Create("podf/c", r); err == nil || !strings.Contains(err.Error(), "set limits of cgroup "+pod.Path()+"/c: ") {
			t.Errorf("%+v: error %v", r, err)
		}
	}
	if !tr.Unified() {
		_, err := tr.Create("podf/c", cgroup.Resources{Unified: map[string]string{"memory.high": "1"}})
		if err == nil || !strings.Contains(err.Error(), "memory.high: this host has cgroup "+tr.Version()) {
			t.Errorf("v2's files on %s: %v", tr.Version(), err)
		}
		if _, err := os.Stat("/sys/fs/cgroup/hugetlb"); err != nil {
			_, err = tr.Create("podf/c", cgroup.Resources{HugePages: []cgroup.HugePage{{Size: "2MB", Limit: 1}}})
			if err == nil || !strings.Contains(err.Error(), "does not offer the hugetlb controller") {
				t.Errorf("huge pages without a controller: %v", err)
			}
		}
	}
	if list, err := tr.List(); err != nil || !slices.Equal(list, []string{"podf"}) {
		t.Errorf("left: %v, %v", list, err)
	}
}

// TestCpusetBelowForeignParents: a parent that others made passes on nothing, and a group below it could hold no task.
func TestCpusetBelowForeignParents(t *testing.T) {
	tr, parent := tree(t)
	needV1(t, tr)
	top := filepath.Join("/sys/fs/cgroup/cpuset", parent)
	if err := os.MkdirAll(filepath.Join(top, "podc"), 0o755); err != nil {
		t.Fatal(err)
	}
	g, err := tr.Create("podc/c", cgroup.Resources{})
	if err != nil {
		t.Fatal(err)
	}
	defer remove(t, tr.Load("podc"))
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		if got, want := read(t, filepath.Join(v1dir(g, "cpuset"), file)), read(t, "/sys/fs/cgroup/cpuset/"+file); got != want {
			t.Errorf("%s is %q, the root's %q", file, got, want)
		}
	}
}

func TestRemoveTakesGroupsBelow(t *testing.T) {
	tr, _ := tree(t)
	g, err := tr.Create("podr/c", cgroup.Resources{})
	if err != nil {
		t.Fatal(err)
	}
	dir := v1dir(g, "memory")
	if tr.Unified() {
		dir = v1dir(g, "")
	}
	if err := os.MkdirAll(filepath.Join(dir, "made/by/container"), 0o755); err != nil {
		t.Fatal(err)
	}
	if list, err := tr.List(); err != nil || !slices.Contains(list, "podr/c/made/by/container") {
		t.Errorf("List() = %v, %v", list, err)
	}
	remove(t, tr.Load("podr"))
	remove(t, tr.Load("podr")) // once more is fine
	if list, err := tr.List(); err != nil || len(list) != 0 {
		t.Errorf("List() = %v, %v", list, err)
	}
}

// TestRemoveOfABusyGroupEndsWithItsContext and goes through once the process is gone.
func TestRemoveOfABusyGroupEndsWithItsContext(t *testing.T) {
	tr, _ := tree(t)
	g, err := tr.Create("podbusy", cgroup.Resources{})
	if err != nil {
		t.Fatal(err)
	}
	cmd := sleeper(t, g, "", "exec sleep 1000")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := g.Remove(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "device or resource busy") {
		t.Errorf("Remove() = %v", err)
	}
	// Without an end of the context, it does not go on for ever.
	if err := g.RemoveWithin(context.Background(), 30*time.Millisecond); !errors.Is(err, unix.EBUSY) {
		t.Errorf("RemoveWithin() = %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ended(cmd)
	remove(t, g)
}

// TestParentsMayVanish: the last group's end removes the parents while another one is made below them.
func TestParentsMayVanish(t *testing.T) {
	tr, _ := tree(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for range 25 {
				g, err := tr.Create(fmt.Sprintf("burstable/pod%d/c", i), cgroup.Resources{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := errors.Join(g.Remove(t.Context()), g.Prune()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// unifiedMount is where this host has v2, even one without controllers beside v1.
func unifiedMount(t *testing.T) *mountinfo.Info {
	t.Helper()
	hulltest.NeedRoot(t)
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup2"))
	if err != nil {
		t.Fatal(err)
	}
	if len(mounts) == 0 {
		t.Skip("no cgroup v2 on this host")
	}
	return mounts[0]
}

func TestUnifiedInKernel(t *testing.T) {
	mount := unifiedMount(t)
	tr, err := cgroup.Open(cgroup.Config{
		Parent: "hull-" + hulltest.Instance(t), Log: slog.New(slog.DiscardHandler), Mounts: []*mountinfo.Info{mount},
	})
	if err != nil {
		t.Fatal(err)
	}
	pod, err := tr.Create("podu", cgroup.Resources{})
	if err != nil {
		t.Fatal(err)
	}
	infra := joined(t, pod.JoinInfra, "", "exec sleep 1000")
	g, err := tr.Create("podu/c", cgroup.Resources{Devices: usual})
	if err != nil {
		t.Fatal(err)
	}
	// Of the filter: null may be opened, the kernel's log, 1:11, may not.
	cmd := sleeper(t, g, "cat /dev/null || exit 1; cat /dev/kmsg 2>/dev/null && exit 1; sleep 1000 &", "exec sleep 1000")
	if seen := read(t, fmt.Sprintf("/proc/%d/cgroup", cmd.Process.Pid)); !strings.Contains(seen, "0::"+g.Path()) {
		t.Errorf("the kernel says:\n%s", seen)
	}
	if seen := read(t, fmt.Sprintf("/proc/%d/cgroup", infra.Process.Pid)); !strings.Contains(seen, "0::"+pod.Path()+"/"+cgroup.InfraLeaf) {
		t.Errorf("the kernel says of the infra process:\n%s", seen)
	}
	if pids, err := pod.PIDs(); err != nil || len(pids) != 3 {
		t.Errorf("PIDs() = %v, %v", pids, err)
	}
	root := strings.Fields(read(t, filepath.Join(mount.Mountpoint, "cgroup.controllers")))
	if given := strings.Fields(read(t, filepath.Join(mount.Mountpoint, g.Path(), "cgroup.controllers"))); len(given) < len(root) {
		t.Errorf("controllers %v of the root's %v", given, root)
	}
	if !slices.Contains(root, "memory") {
		_, err := tr.Create("podu/d", cgroup.Resources{Memory: 1 << 20})
		if err == nil || !strings.Contains(err.Error(), "v2: this host does not offer the memory controller") {
			t.Errorf("a limit without its controller: %v", err)
		}
	}
	var all sync.WaitGroup
	all.Go(func() { ended(cmd) })
	all.Go(func() { ended(infra) })
	if err := pod.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	if list, err := tr.List(); err != nil || !slices.Equal(list, []string{"podu/c", "podu/" + cgroup.InfraLeaf, "podu"}) {
		t.Errorf("List() = %v, %v", list, err)
	}
	remove(t, pod)
	if _, err := os.Stat(filepath.Join(mount.Mountpoint, pod.Path())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// TestUnifiedFiles looks at what is written on v2, in a directory that stands in for it.
func TestUnifiedFiles(t *testing.T) {
	cgroups.TestMode = true
	defer func() { cgroups.TestMode = false }()
	root := t.TempDir()
	put := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"", "hull", "hull/pod", "hull/pod/c"} {
		put(dir+"/cgroup.controllers", "cpuset cpu memory pids hugetlb\n")
		put(dir+"/cgroup.subtree_control", "pids\n")
	}
	tr, err := cgroup.Open(cgroup.Config{Parent: "hull", Log: slog.New(slog.DiscardHandler), Mounts: []*mountinfo.Info{{FSType: "cgroup2", Mountpoint: root}}})
	if err != nil {
		t.Fatal(err)
	}
	if tr.Version() != "v2" || !tr.Unified() {
		t.Errorf("version %s", tr.Version())
	}
	g, err := tr.Create("pod/c", cgroup.Resources{
		CPUShares: 1024, CPUQuota: 50000, CPUPeriod: 100000, Memory: 64 << 20, Swap: 96 << 20, PidsLimit: 10, Cpus: "0-1", Mems: "0",
		HugePages: []cgroup.HugePage{{Size: "2MB", Limit: 4 << 20}}, Unified: map[string]string{"memory.oom.group": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"cpu.weight": "100", "cpu.max": "50000 100000", "memory.max": fmt.Sprint(64 << 20), "memory.swap.max": fmt.Sprint(32 << 20), "pids.max": "10",
		"cpuset.cpus": "0-1", "cpuset.mems": "0", "hugetlb.2MB.max": fmt.Sprint(4 << 20), "memory.oom.group": "1",
	} {
		if got := read(t, filepath.Join(root, "hull/pod/c", file)); got != want {
			t.Errorf("%s is %s, want %s", file, got, want)
		}
	}
	if err := g.Set(cgroup.Resources{Memory: 32 << 20, Swap: 32 << 20, CPUQuota: -1, CPUPeriod: 100000}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"memory.swap.max": "0", "cpu.max": "max 100000"} {
		if got := read(t, filepath.Join(root, "hull/pod/c", file)); got != want {
			t.Errorf("%s is %s, want %s", file, got, want)
		}
	}
	put("hull/pod/c/memory.events", "low 0\nhigh 0\nmax 3\noom 2\noom_kill 2\noom_group_kill 0\n")
	if n, err := g.OOMKills(); err != nil || n != 2 {
		t.Errorf("OOMKills() = %d, %v", n, err)
	}
	put("hull/pod/c/cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n")
	put("hull/pod/c/memory.current", "5000\n")
	put("hull/pod/c/memory.stat", "file 2000\ninactive_file 1500\n")
	put("hull/pod/c/pids.current", "4\n")
	want := cgroup.Usage{CPU: 1500 * time.Microsecond, Memory: 5000, MemoryWorking: 3500, Pids: 4}
	if u, err := g.Usage(); err != nil || u != want {
		t.Errorf("Usage() = %+v, %v; want %+v", u, err, want)
	}
}

// TestDelegation: on the way down every group gives its children all controllers.
func TestDelegation(t *testing.T) {
	mount := unifiedMount(t)
	tr, err := cgroup.Open(cgroup.Config{
		Parent: "hull-" + hulltest.Instance(t) + "/deep", Log: slog.New(slog.DiscardHandler), Mounts: []*mountinfo.Info{mount},
	})
	if err != nil {
		t.Fatal(err)
	}
	g, err := tr.Create("burstable/pod/c", cgroup.Resources{})
	if err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(g.Path()); dir != "/"; dir = filepath.Dir(dir) {
		have := read(t, filepath.Join(mount.Mountpoint, dir, "cgroup.controllers"))
		if given := read(t, filepath.Join(mount.Mountpoint, dir, "cgroup.subtree_control")); given != have {
			t.Errorf("%s has %q and gives %q", dir, have, given)
		}
	}
	remove(t, g)
	if err := os.Remove(filepath.Join(mount.Mountpoint, strings.Split(g.Path(), "/")[1])); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
