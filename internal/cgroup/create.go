package cgroup

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	groupMode = 0o755
	// attempts bounds how often a group is tried again whose parent another process, the kubelet, removes at that time.
	attempts = 10
)

// Create makes a group in every hierarchy, and its parents where they are missing, and sets its limits. A group that is
// there already gets the limits. On an error nothing new is left of the group itself.
func (t *Tree) Create(path string, r Resources) (*Group, error) {
	g := t.Load(path)
	made, err := g.make()
	if err != nil {
		err = fmt.Errorf("make cgroup %s: %w", g.Path(), err)
	} else {
		err = g.limit(r, len(made) == len(t.hierarchies))
	}
	if err != nil {
		return nil, errors.Join(err, rmdirs(made))
	}
	return g, nil
}

// make makes the group where it does not exist, and returns the directories that are new.
func (g *Group) make() (made []string, err error) {
	g.t.prune.RLock()
	defer g.t.prune.RUnlock()
	for _, h := range g.t.hierarchies {
		dir := g.dir(h)
		fresh, err := g.t.makeIn(h, dir)
		if fresh {
			made = append(made, dir)
		}
		if err != nil {
			return made, err
		}
	}
	return made, nil
}

func (t *Tree) makeIn(h hierarchy, dir string) (fresh bool, err error) {
	for range attempts {
		err = unix.Mkdir(dir, groupMode)
		if err != unix.ENOENT {
			break
		}
		if err := t.makeParents(h, filepath.Dir(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	switch {
	case err == unix.EEXIST:
		return false, nil
	case err != nil:
		return false, &fs.PathError{Op: "mkdir", Path: dir, Err: err}
	case slices.Contains(h.names, "cpuset"):
		return true, t.fillCpuset(h, dir)
	}
	return true, nil
}

// fillCpuset sees to it that a new group can hold tasks. Below a parent of Hull's making the kernel has done that; a parent
// that somebody else has made, such as the kubelet, may pass on nothing.
func (t *Tree) fillCpuset(h hierarchy, dir string) error {
	cpus, err := os.ReadFile(filepath.Join(dir, "cpuset.cpus"))
	if err != nil || len(bytes.TrimSpace(cpus)) > 0 {
		return err
	}
	parent := filepath.Dir(dir)
	if err := t.makeParents(h, parent); err != nil {
		return err
	}
	return inheritCpuset(parent, dir)
}

// makeParents makes the groups from the hierarchy's root down to dir, each of which passes on what its children need.
func (t *Tree) makeParents(h hierarchy, dir string) error {
	rel, err := filepath.Rel(h.root, dir)
	if err != nil {
		return err
	}
	at := h.root
	if t.unified {
		if err := delegate(at); err != nil {
			return err
		}
	}
	for name := range strings.SplitSeq(rel, "/") {
		parent := at
		at = filepath.Join(at, name)
		if err := mkdir(at); err != nil {
			return err
		}
		if t.unified {
			err = delegate(at)
		} else if slices.Contains(h.names, "cpuset") {
			err = inheritCpuset(parent, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func mkdir(dir string) error {
	err := unix.Mkdir(dir, groupMode)
	if err != nil && err != unix.EEXIST {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: err}
	}
	return nil
}

// delegate gives a v2 group's children all the controllers that it has itself. Those that the kernel does not give to
// children of the root (some are missing on some kernels) are left out one by one.
func delegate(dir string) error {
	have, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	given, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	var missing []string
	for _, c := range strings.Fields(string(have)) {
		if !slices.Contains(strings.Fields(string(given)), c) {
			missing = append(missing, "+"+c)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	control := filepath.Join(dir, "cgroup.subtree_control")
	if write(control, strings.Join(missing, " ")) == nil {
		return nil
	}
	for _, c := range missing {
		_ = write(control, c) // a limit that needs it then fails by name
	}
	return nil
}

// inheritCpuset fills the CPUs and memory nodes of a new v1 group, which begins with none and could hold no task, and has
// the kernel do so for its children.
func inheritCpuset(parent, dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		own, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(own)) > 0 {
			continue
		}
		from, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			return err
		}
		if err := write(filepath.Join(dir, file), string(from)); err != nil {
			return err
		}
	}
	return write(filepath.Join(dir, "cgroup.clone_children"), "1")
}

// write sets a file of a group. A write that Go's preemption signal cuts short is repeated by os, as it is in the library.
func write(path, value string) error { return writeLines(path, value) }

// writeLines sets a file of a group that takes one line at a time.
func writeLines(path string, lines ...string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if _, err := f.WriteString(line); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// Join opens the files in which a process writes "0" to enter the group: on v1 one "tasks" for each hierarchy, which costs a
// tenth of what moving it from outside by "cgroup.procs" does.
func (g *Group) Join() ([]*os.File, error) {
	name := "tasks"
	if g.t.unified {
		name = "cgroup.procs"
	}
	var files []*os.File
	for _, h := range g.t.hierarchies {
		path := filepath.Join(g.dir(h), name)
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0) // os would have its poller watch it
		if err != nil {
			for _, f := range files {
				_ = f.Close()
			}
			return nil, fmt.Errorf("join cgroup %s: %w", g.Path(), &fs.PathError{Op: "open", Path: path, Err: err})
		}
		files = append(files, os.NewFile(uintptr(fd), path))
	}
	return files, nil
}

// InfraLeaf is the group of a Pod's infra process on v2, where a group with members gives no controllers to its children.
const InfraLeaf = "infra"

// JoinInfra is Join for the process that keeps a Pod's group in use: on v1 in the group itself, on v2 in a leaf.
func (g *Group) JoinInfra() ([]*os.File, error) {
	if !g.t.unified {
		return g.Join()
	}
	for _, h := range g.t.hierarchies {
		if err := delegate(g.dir(h)); err != nil {
			return nil, fmt.Errorf("delegate controllers of cgroup %s: %w", g.Path(), err)
		}
	}
	leaf := g.t.Load(filepath.Join(g.path, InfraLeaf))
	if _, err := leaf.make(); err != nil {
		return nil, fmt.Errorf("make cgroup %s: %w", leaf.Path(), err)
	}
	return leaf.Join()
}
