package compile

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
)

// tree is the part of a program that makes the container's files: the root and what is mounted in it.
type tree struct {
	*compiler
	root   birth.Arg
	mounts []placed  // what has been mounted so far
	null   birth.Arg // a null device that is mounted in the container's namespace: what masks are cloned from
	nulls  int       // null devices asked for as descriptors
	later  []placed  // file systems that become read-only once all is in them
}

// placed is a mount that the program has made.
type placed struct {
	path   string
	fd     birth.Arg
	fresh  bool // nobody but the program can have changed what is in it: names in it may be used as they are
	kernel bool // procfs or sysfs, in which nothing can be made
}

// make mounts the root and everything in it.
func (t *tree) make() error {
	if t.emptyRoot && mayMount(t.spec.Process) {
		t.ownEmptyRoot()
	}
	at := "/"
	if t.facts.Attach != "" {
		at = t.facts.Attach
	}
	t.call("attach the root", linux.SysMoveMount, t.root, str(""), num(unix.AT_FDCWD), str(at), num(unix.MOVE_MOUNT_F_EMPTY_PATH))
	if err := t.allMounts(); err != nil {
		return err
	}
	if err := t.devices(); err != nil {
		return err
	}
	if err := t.console(); err != nil {
		return err
	}
	t.readonlyLater()
	if err := t.sysctls(t.placedAt("proc"), t.spec.Linux.Sysctl); err != nil {
		return err
	}
	masks{t}.readonlyPaths()
	masks{t}.maskedPaths()
	return nil
}

// ownEmptyRoot puts an empty root in the place of the one that every program starts in. A container sees the latter behind its
// masks and below its root, and one that may mount could make it writable, for all containers and for as long as hulld runs.
func (t *tree) ownEmptyRoot() {
	const what = "an empty root of its own"
	fs := t.call("open "+what, linux.SysFsopen, str("tmpfs"), num(unix.FSOPEN_CLOEXEC))
	t.configure(fs, what, linux.KeyValue("nr_inodes", "1"))
	t.configure(fs, what, linux.KeyValue("mode", "555"))
	root := t.create(fs, what, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	t.call("attach it", linux.SysMoveMount, root, str(""), num(unix.AT_FDCWD), str("/"), num(unix.MOVE_MOUNT_F_EMPTY_PATH))
	t.call("enter it", linux.SysFchdir, root)
	t.pivot()
}

// pivot makes the working directory the root, and takes the old one away.
func (t *tree) pivot() {
	t.call("make it the root", linux.SysPivotRoot, str("."), str("."))
	t.call("let go of the old root", linux.SysUmount2, str("."), num(unix.MNT_DETACH))
}

// enterRoot makes the root the root of the process.
//
// Where the program starts in the empty root, the container's root has been attached on top of that, which makes it what
// everything sees that looks at the mount namespace from now on: setns and ".." end there as they do after pivot_root, and user
// namespaces may be made. What lies below is one empty directory, read-only: who may unmount its own root finds that.
// pivot_root would take the old root away, but to do so it looks at every thread of the machine: 0.4 µs each.
// Where more than nothing lies below, it is worth that.
func (t *tree) enterRoot() {
	t.call("enter the root", linux.SysFchdir, t.root)
	if t.emptyRoot {
		t.call("make it the root", linux.SysChroot, str("."))
	} else {
		t.pivot()
	}
	attr := uint64(0)
	if t.spec.Root != nil && t.spec.Root.Readonly {
		attr = unix.MOUNT_ATTR_RDONLY
	}
	propagation := propagations[strings.TrimPrefix(t.spec.Linux.RootfsPropagation, "r")]
	if attr != 0 || propagation != 0 && propagation != unix.MS_PRIVATE {
		t.setattr("set what the root may", t.root, false, linux.Attributes{Set: attr, Propagation: propagation})
	}
}
