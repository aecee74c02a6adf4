package compile

import (
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
)

const cloneFD = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH

// masks are the paths of a tree that its container shall not see, or not change.
type masks struct{ *tree }

// readonlyPaths mounts each path on itself, read-only. What is not there needs no protection.
func (m masks) readonlyPaths() {
	for _, p := range m.spec.Linux.ReadonlyPaths {
		after := m.p.Label()
		at := m.findPath(p, 0, after, after)
		tree := m.call("copy the mount of "+p, linux.SysOpenTree, at, str(""), num(cloneFD|unix.AT_RECURSIVE))
		m.setattr("make the copy read-only", tree, false, linux.Attributes{Set: unix.MOUNT_ATTR_RDONLY})
		m.attach("attach it on "+p, tree, at, "")
		m.p.Mark(after)
	}
}

// maskedPaths hides files behind the null device and directories behind an empty one. Nothing is copied before it is known
// to be needed: a copy that ends unattached takes the kernel long to take apart.
func (m masks) maskedPaths() {
	for _, p := range m.spec.Linux.MaskedPaths {
		after, file := m.p.Label(), m.p.Label()
		dir := m.findPath(p, unix.O_DIRECTORY, after, file)
		m.attach("hide directory "+p, m.emptyMount(p), dir, "").On(after, 0)
		m.p.Mark(file)
		at := m.findPath(p, 0, after, after)
		m.attach("hide file "+p, m.nullMount(p), at, "")
		m.p.Mark(after)
	}
}

// emptyMount is a detached mount of an empty, read-only directory. Most programs start in one.
func (m masks) emptyMount(p string) birth.Arg {
	if m.emptyRoot {
		return m.call("copy the empty root", linux.SysOpenTree, num(unix.AT_FDCWD), str("/"), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))
	}
	what := "tmpfs for " + p
	fs := m.call("open "+what, linux.SysFsopen, str("tmpfs"), num(unix.FSOPEN_CLOEXEC))
	m.configure(fs, what, linux.KeyValue("nr_inodes", "1"))
	return m.create(fs, what, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

// nullMount is a detached mount of the null device.
func (m masks) nullMount(p string) birth.Arg {
	if m.null == nil {
		m.nulls++
		return m.p.FD(FDNull(m.nulls))
	}
	return m.call("copy the null device for "+p, linux.SysOpenTree, m.null, str(""), num(cloneFD))
}

// findPath opens a path to be covered. It goes on at one label when there is none, at the other when it, or what it is in, is
// no directory.
func (m masks) findPath(p string, flags uint64, absent, file birth.Label) birth.Arg {
	name := m.target(p)
	rules := func(r birth.Result) { r.OnError(absent, unix.ENOENT).OnError(file, unix.ENOTDIR) }
	base, rest, ok := m.within(name)
	if ok && base.fresh && rest != "" {
		r := m.openIn("find "+p, base.fd, rest, unix.O_PATH|flags, resolveFresh)
		rules(r)
		return r
	}
	return m.openRacing("find "+p, m.root, name, flags, rules)
}
