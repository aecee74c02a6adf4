package cgroup_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hull-pods/hull/internal/cgroup"
)

// TestKillOfWhatIsFrozen: v1's freezer keeps SIGKILL from a process, whether its own group is frozen, one that it made, or one above.
func TestKillOfWhatIsFrozen(t *testing.T) {
	tr, parent := tree(t)
	root := "/sys/fs/cgroup/freezer"
	if _, err := os.Stat(root); err != nil {
		t.Skip("this host has no freezer of cgroup v1")
	}
	for _, frozen := range []string{"podf", "podf/c", "podf/c/made"} {
		for name, end := range map[string]func(*cgroup.Group, int) error{
			"Kill":         func(g *cgroup.Group, _ int) error { return g.Kill(t.Context()) },
			"ThawProcess":  func(_ *cgroup.Group, pid int) error { return tr.ThawProcess(pid) },
			"ThawOfParent": func(*cgroup.Group, int) error { return tr.Load("podf").Thaw() },
		} {
			t.Run(frozen+" "+name, func(t *testing.T) {
				g, err := tr.Create("podf/c", cgroup.Resources{})
				if err != nil {
					t.Fatal(err)
				}
				made := filepath.Join(root, parent, "podf/c/made")
				if err := os.Mkdir(made, 0o755); err != nil {
					t.Fatal(err)
				}
				cmd := sleeper(t, g, "echo 0 > "+made+"/tasks", "exec sleep 1000")
				state := filepath.Join(root, parent, frozen, "freezer.state")
				if err := os.WriteFile(state, []byte("FROZEN"), 0); err != nil {
					t.Fatal(err)
				}
				guard := time.AfterFunc(time.Minute, func() { _ = os.WriteFile(state, []byte("THAWED"), 0) })
				defer guard.Stop()
				if name != "Kill" {
					if err := cmd.Process.Kill(); err != nil {
						t.Fatal(err)
					}
				}
				if err := end(g, cmd.Process.Pid); err != nil {
					t.Error(err)
				}
				_ = cmd.Wait()
				if !guard.Stop() {
					t.Error("it was frozen until the test let it go")
				}
				if err := errors.Join(g.Remove(t.Context()), tr.Load("podf").Remove(t.Context()), tr.Load("podf").Prune()); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}
