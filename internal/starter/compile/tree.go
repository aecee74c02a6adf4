package compile

import (
	"slices"
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

// pivot makes the root the root of the mount namespace. The old one is empty and read-only, which is what hides a directory:
// it is put on one that is to be hidden. Unmounting it instead takes as long as every processor needs to notice.
func (t *tree) pivot() {
	t.call("enter the root", linux.SysFchdir, t.root)
	done := t.p.Label()
	if hidden := t.hiddenByOldRoot(); hidden != "" {
		t.call("make it the root, and hide "+hidden+" with the old one", linux.SysPivotRoot, str("."), str(Inside(hidden))).
			On(done, 0).Allow(unix.ENOENT, unix.ENOTDIR, unix.EINVAL)
	}
	t.call("make it the root", linux.SysPivotRoot, str("."), str("."))
	t.call("let go of the old root", linux.SysUmount2, str("."), num(unix.MNT_DETACH))
	t.p.Mark(done)
	attr := uint64(0)
	if t.spec.Root != nil && t.spec.Root.Readonly {
		attr = unix.MOUNT_ATTR_RDONLY
	}
	propagation := propagations[strings.TrimPrefix(t.spec.Linux.RootfsPropagation, "r")]
	if attr != 0 || propagation != 0 && propagation != unix.MS_PRIVATE {
		t.setattr("set what the root may", t.root, false, linux.Attributes{Set: attr, Propagation: propagation})
	}
}

// hiddenByOldRoot is the directory that the old root hides, as pivot says. It must be in a mount that is the program's alone,
// as pivot_root takes names, and no descriptors.
func (t *tree) hiddenByOldRoot() string {
	const firmware = "/sys/firmware"
	base, _, ok := t.within(Inside(firmware))
	if t.emptyRoot && ok && base.fresh && base.path == "sys" && slices.Contains(t.spec.Linux.MaskedPaths, firmware) {
		return firmware
	}
	return ""
}
