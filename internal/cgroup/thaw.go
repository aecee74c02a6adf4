package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"
)

// Thaw lets the processes of the group and of the groups below it run, which they must to be killed: v1's freezer keeps even SIGKILL
// from a process, and a container that may write its own groups can freeze itself for ever. The groups above, up to the Hull's own, are
// thawed too; nothing of Hull freezes any. v2 kills what is frozen.
func (g *Group) Thaw() error {
	dir := g.of("freezer")
	if g.t.unified || dir == "" {
		return nil
	}
	top := filepath.Join(g.t.rootOf("freezer"), g.t.parent)
	for up := filepath.Dir(dir); strings.HasPrefix(up, top); up = filepath.Dir(up) {
		if err := thaw(up); err != nil {
			return err
		}
	}
	return thawAll(dir)
}

// ThawProcess thaws the group of this Hull that a process is in. One that is in no such group, or has ended, is left as it is.
func (t *Tree) ThawProcess(pid int) error {
	if t.unified {
		return nil
	}
	groups, err := cgroups.ParseCgroupFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil //nolint:nilerr // it has ended
	}
	if path, ours := strings.CutPrefix(groups["freezer"], filepath.Join("/", t.parent)+"/"); ours {
		return t.Load(path).Thaw()
	}
	return nil
}

func thawAll(dir string) error {
	if err := thaw(dir); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !gone(err) {
		return fmt.Errorf("thaw what is below cgroup %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := thawAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func thaw(dir string) error {
	frozen, err := os.ReadFile(filepath.Join(dir, "freezer.self_freezing"))
	if err == nil && strings.HasPrefix(string(frozen), "1") {
		err = write(filepath.Join(dir, "freezer.state"), "THAWED")
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("thaw cgroup %s: %w", dir, err)
	}
	return nil
}

// gone says that a group has been removed, perhaps while it was read.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) }
