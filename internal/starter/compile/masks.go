package compile

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
)

const cloneFD = unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH

// readonlyPaths mounts each path on itself, read-only. What is not there needs no protection.
func (c *compiler) readonlyPaths() {
	for _, p := range c.spec.Linux.ReadonlyPaths {
		after := c.p.Label()
		at := c.findPath(p, 0, after, after)
		tree := c.call("copy the mount of "+p, linux.SysOpenTree, at, str(""), num(cloneFD|unix.AT_RECURSIVE))
		c.setattr("make the copy read-only", tree, false, linux.Attributes{Set: unix.MOUNT_ATTR_RDONLY})
		c.attach("attach it on "+p, tree, at, "")
		c.p.Mark(after)
	}
}

// maskedPaths hides files behind the null device and directories behind an empty one. Nothing is copied before it is known
// to be needed: a copy that ends unattached takes the kernel long to take apart.
func (c *compiler) maskedPaths() {
	for _, p := range c.spec.Linux.MaskedPaths {
		if p == c.hiddenByOldRoot() {
			continue
		}
		after, file := c.p.Label(), c.p.Label()
		dir := c.findPath(p, unix.O_DIRECTORY, after, file)
		c.attach("hide directory "+p, c.emptyMount(p), dir, "").On(after, 0)
		c.p.Mark(file)
		at := c.findPath(p, 0, after, after)
		c.attach("hide file "+p, c.nullMount(p), at, "")
		c.p.Mark(after)
	}
}

// hiddenByOldRoot is the directory that the old root hides, as pivot says. It must be in a mount that is the program's alone,
// as pivot_root takes names, and no descriptors.
func (c *compiler) hiddenByOldRoot() string {
	const firmware = "/sys/firmware"
	base, _, ok := c.within(Inside(firmware))
	if c.emptyRoot && ok && base.fresh && base.path == "sys" && slices.Contains(c.spec.Linux.MaskedPaths, firmware) {
		return firmware
	}
	return ""
}

// emptyMount is a detached mount of an empty, read-only directory. Most programs start in one.
func (c *compiler) emptyMount(p string) birth.Arg {
	if c.emptyRoot {
		return c.call("copy the empty root", linux.SysOpenTree, num(unix.AT_FDCWD), str("/"), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC))
	}
	what := "tmpfs for " + p
	fs := c.call("open "+what, linux.SysFsopen, str("tmpfs"), num(unix.FSOPEN_CLOEXEC))
	c.configure(fs, what, linux.KeyValue("nr_inodes", "1"))
	return c.create(fs, what, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

// nullMount is a detached mount of the null device.
func (c *compiler) nullMount(p string) birth.Arg {
	if c.null == nil {
		c.nulls++
		return c.p.FD(FDNull(c.nulls))
	}
	return c.call("copy the null device for "+p, linux.SysOpenTree, c.null, str(""), num(cloneFD))
}

// findPath opens a path to be covered. It goes on at one label when there is none, at the other when it, or what it is in, is
// no directory.
func (c *compiler) findPath(p string, flags uint64, absent, file birth.Label) birth.Arg {
	name := c.target(p)
	rules := func(r birth.Result) { r.OnError(absent, unix.ENOENT).OnError(file, unix.ENOTDIR) }
	base, rest, ok := c.within(name)
	if ok && base.fresh && rest != "" {
		r := c.openIn("find "+p, base.fd, rest, unix.O_PATH|flags, resolveFresh)
		rules(r)
		return r
	}
	return c.openRacing("find "+p, c.root, name, flags, rules)
}

// sysctls are written through a procfs that the program has mounted itself: no other file can be in its place.
func (c *compiler) sysctls(values map[string]string) error {
	if len(values) == 0 {
		return nil
	}
	proc := c.placedAt("proc")
	if proc == nil {
		fs := c.call("open a procfs", linux.SysFsopen, str("proc"), num(unix.FSOPEN_CLOEXEC))
		proc = c.create(fs, "proc for sysctls", 0)
	}
	keys := make([]string, 0, len(values))
	for k := range values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		file, err := sysctlFile(k)
		if err != nil {
			return err
		}
		fd := c.openIn("find sysctl "+k, proc, "sys/"+file, unix.O_WRONLY, resolveFresh|unix.RESOLVE_NO_XDEV)
		v := []byte(values[k])
		c.call("set sysctl "+k, linux.SysWrite, fd, birth.Bytes(v), num(len(v)))
	}
	return nil
}

// sysctlFile is a sysctl's file below /proc/sys. As in sysctl(8), the first of . and / that the name has separates its
// parts, and the other one stands for the first.
func sysctlFile(name string) (string, error) {
	file := name
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '.' {
		file = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, name)
	}
	for _, part := range strings.Split(file, "/") {
		if part == "" || part == "." || part == ".." {
			return "", invalid("sysctl %q is not a name", name)
		}
	}
	return file, nil
}
