package cgroup_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/hulltest"
)

func tree(t *testing.T) (*cgroup.Tree, string) {
	t.Helper()
	hulltest.NeedRoot(t)
	parent := "hull-" + hulltest.Instance(t)
	tr, err := cgroup.Open(cgroup.Config{Parent: parent, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		left, _ := filepath.Glob("/sys/fs/cgroup/*/" + parent)
		if _, err := os.Stat("/sys/fs/cgroup/" + parent); err == nil {
			left = append(left, parent)
		}
		if len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return tr, parent
}

// sleeper runs a process that enters the group by itself, as hull-init does, and then the commands: it returns when first
// is done.
func sleeper(t *testing.T, g *cgroup.Group, first, then string) *exec.Cmd {
	t.Helper()
	return joined(t, g.Join, first, then)
}

func joined(t *testing.T, join func() ([]*os.File, error), first, then string) *exec.Cmd {
	t.Helper()
	files, err := join()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	var script strings.Builder
	for i := range files {
		fmt.Fprintf(&script, "echo 0 >&%d; ", i+3)
	}
	cmd := exec.Command("/bin/bash", "-c", script.String()+first+"\necho in\n"+then)
	cmd.ExtraFiles = files
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 3)); err != nil {
		t.Fatalf("the process did not enter its group: %v", err)
	}
	return cmd
}

func TestLife(t *testing.T) {
	tr, parent := tree(t)
	g, err := tr.Create("besteffort/podx/c1", cgroup.Resources{
		CPUShares: 512, Memory: 64 << 20, PidsLimit: 20,
		Devices: []cgroup.DeviceRule{{Type: "a", Major: -1, Minor: -1, Access: "rwm"}, {Allow: true, Type: "c", Major: 1, Minor: 3, Access: "rwm"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := sleeper(t, g, "sleep 1000 &", "exec sleep 1000")
	seen, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	want := "/" + parent + "/besteffort/podx/c1"
	if g.Path() != want || strings.Count(string(seen), want+"\n") == 0 {
		t.Errorf("Path() = %s, and the kernel says:\n%s", g.Path(), seen)
	}
	if dir := "/sys/fs/cgroup/pids" + want; exists(dir) {
		for file, value := range map[string]string{
			dir + "/pids.max": "20",
			"/sys/fs/cgroup/memory" + want + "/memory.limit_in_bytes": strconv.Itoa(64 << 20),
			"/sys/fs/cgroup/cpu" + want + "/cpu.shares":               "512",
			"/sys/fs/cgroup/devices" + want + "/devices.list":         "c 1:3 rwm",
		} {
			if got, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(got)) != value {
				t.Errorf("%s says %q (%v), want %q", file, got, err, value)
			}
		}
	}
	pids, err := g.PIDs()
	if err != nil || !slices.Contains(pids, cmd.Process.Pid) || len(pids) < 2 {
		t.Errorf("PIDs() = %v, %v", pids, err)
	}
	if u, err := g.Usage(); err != nil || u.Pids < 2 {
		t.Errorf("Usage() = %+v, %v", u, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if err := g.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	if list, err := tr.List(); err != nil || !slices.Equal(list, []string{"besteffort/podx/c1", "besteffort/podx", "besteffort"}) {
		t.Errorf("List() = %v, %v", list, err)
	}
	if err := tr.Load("besteffort/podx").Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := tr.Load("besteffort/podx").Prune(); err != nil {
		t.Fatal(err)
	}
}

// TestKillSparesStrangers: the number of a process that has ended since the group was listed may be another one's by now.
func TestKillSparesStrangers(t *testing.T) {
	tr, _ := tree(t)
	g, err := tr.Create("podk", cgroup.Resources{})
	if err != nil {
		t.Fatal(err)
	}
	own, stranger := sleeper(t, g, "", "exec sleep 1000"), exec.Command("cat")
	in, err := stranger.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- own.Wait() }()
	if err := g.KillAll(t.Context(), []int{own.Process.Pid, stranger.Process.Pid}); err != nil {
		t.Fatal(err)
	}
	<-done
	_ = in.Close()
	if err := stranger.Wait(); err != nil {
		t.Errorf("the stranger: %v", err)
	}
	if err := errors.Join(g.Remove(t.Context()), g.Prune()); err != nil {
		t.Fatal(err)
	}
}

func TestForkBombStaysBelowItsLimitAndDies(t *testing.T) {
	tr, _ := tree(t)
	g, err := tr.Create("podb", cgroup.Resources{PidsLimit: 30})
	if err != nil {
		t.Fatal(err)
	}
	cmd := sleeper(t, g, "", "b() { b | b & b; }; b 2>/dev/null")
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if err := g.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	if pids, err := g.PIDs(); err != nil || len(pids) > 0 {
		t.Errorf("still there: %v, %v", pids, err)
	}
	if err := g.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Prune(); err != nil {
		t.Fatal(err)
	}
}

func TestOOMKills(t *testing.T) {
	tr, _ := tree(t)
	g, err := tr.Create("podo", cgroup.Resources{Memory: 8 << 20, Swap: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	cmd := sleeper(t, g, "", "exec tail /dev/zero")
	_ = cmd.Wait()
	if n, err := g.OOMKills(); err != nil || n == 0 {
		t.Errorf("OOMKills() = %d, %v", n, err)
	}
	if err := g.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err := g.OOMKills(); err != nil || n != 0 {
		t.Errorf("OOMKills() of a group that is gone = %d, %v", n, err)
	}
	if err := g.Prune(); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkCreateRemove(b *testing.B) {
	hulltest.NeedRoot(b)
	tr, err := cgroup.Open(cgroup.Config{Parent: "hull-" + hulltest.Instance(b), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	pod, err := tr.Create("pod", cgroup.Resources{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		g, err := tr.Create("pod/c", cgroup.Resources{Memory: 64 << 20, PidsLimit: 100, Devices: usual})
		if err != nil {
			b.Fatal(err)
		}
		if err := g.Remove(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if err := pod.Remove(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := pod.Prune(); err != nil {
		b.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
