package cgroup_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/cgroup"
)

// needV2 is for tests of v2's controllers, which a hybrid host has on v1.
func needV2(t *testing.T, tr *cgroup.Tree) {
	t.Helper()
	if !tr.Unified() {
		t.Skip("this host's controllers are on cgroup v1")
	}
}

// TestUnifiedLimitsInKernel sets each limit on a host with v2 alone, and reads what the kernel has made of it.
func TestUnifiedLimitsInKernel(t *testing.T) {
	tr, _ := tree(t)
	needV2(t, tr)
	g, err := tr.Create("burstable/podl/c", cgroup.Resources{
		CPUShares: 1024, CPUQuota: 50000, CPUPeriod: 100000, Memory: 64 << 20, Swap: 96 << 20, PidsLimit: 10, Cpus: "0", Mems: "0",
		Unified: map[string]string{"memory.oom.group": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer remove(t, g)
	check := func(want map[string]string) {
		t.Helper()
		for file, value := range want {
			if got := read(t, filepath.Join("/sys/fs/cgroup", g.Path(), file)); got != value {
				t.Errorf("%s is %s, want %s", file, got, value)
			}
		}
	}
	check(map[string]string{
		"cpu.weight": "100", "cpu.max": "50000 100000", "memory.max": "67108864", "memory.swap.max": "33554432", "pids.max": "10",
		"cpuset.cpus": "0", "cpuset.cpus.effective": "0", "cpuset.mems": "0", "memory.oom.group": "1",
	})
	if err := g.Set(cgroup.Resources{CPUQuota: -1, CPUPeriod: 100000, Memory: 128 << 20, Swap: 128 << 20, PidsLimit: 7}); err != nil {
		t.Fatal(err)
	}
	check(map[string]string{"cpu.max": "max 100000", "memory.max": "134217728", "memory.swap.max": "0", "pids.max": "7", "cpu.weight": "100"})
	cmd := sleeper(t, g, "", "exec sleep 1000")
	defer ended(cmd)
	if pids, err := g.PIDs(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("PIDs() = %v, %v", pids, err)
	}
	if u, err := g.Usage(); err != nil || u.Pids != 1 || u.Memory == 0 || u.CPU == 0 {
		t.Errorf("Usage() = %+v, %v", u, err)
	}
	if err := g.Kill(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestUnifiedDevicesInKernel: the filter is a program on v2, and is replaced by the next.
func TestUnifiedDevicesInKernel(t *testing.T) {
	tr, _ := tree(t)
	needV2(t, tr)
	g, err := tr.Create("podd/c", cgroup.Resources{Devices: usual})
	if err != nil {
		t.Fatal(err)
	}
	defer remove(t, g)
	opened := func() string {
		t.Helper()
		out := filepath.Join(t.TempDir(), "out")
		cmd := sleeper(t, g, `for d in null zero full kmsg; do { : <"/dev/$d"; } 2>/dev/null && echo "$d"; done >`+out, "")
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(text)), " ")
	}
	if got, want := opened(), "null zero"; got != want {
		t.Errorf("opened %q, want %q", got, want)
	}
	if err := g.Set(cgroup.Resources{Devices: append(slices.Clone(usual), cgroup.DeviceRule{Allow: true, Type: "c", Major: 1, Minor: 7, Access: "r"})}); err != nil {
		t.Fatal(err)
	}
	if got, want := opened(), "null zero full"; got != want {
		t.Errorf("with /dev/full allowed: opened %q, want %q", got, want)
	}
	if err := g.Set(cgroup.Resources{Devices: []cgroup.DeviceRule{{Allow: true, Type: "a", Major: -1, Minor: -1, Access: "rwm"}}}); err != nil {
		t.Fatal(err)
	}
	if got, want := opened(), "null zero full kmsg"; got != want {
		t.Errorf("with all allowed: opened %q, want %q", got, want)
	}
}
