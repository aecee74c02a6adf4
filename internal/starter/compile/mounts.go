package compile

import (
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// How paths are looked up. A root's own names are free of symlinks, as the starter has resolved them before; what others
// may change is looked up Inside the root whatever it holds, and never through the links of a procfs.
const (
	resolveFresh   = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS
	resolveLiteral = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS
	resolveAny     = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS
)

// allMounts makes the spec's mounts in their order, but those on procfs after all others: until then there is no procfs in
// the root that a symlink could lead a mount into.
func (c *compiler) allMounts() error {
	for _, m := range MountOrder(c.spec.Mounts) {
		o, err := ParseOptions(m)
		if err != nil {
			return err
		}
		fd, fresh, err := c.mount(m, o)
		if err != nil {
			return err
		}
		if c.facts.Files[m.Destination] {
			continue // nothing is mounted below a file
		}
		p := placed{path: c.target(m.Destination), fd: fd, fresh: fresh, kernel: fresh && (m.Type == "proc" || m.Type == "sysfs")}
		c.mounts = append(c.mounts, p)
		if fresh && m.Type == "tmpfs" && o.Own.Set&unix.MOUNT_ATTR_RDONLY != 0 {
			c.later = append(c.later, p)
		}
		if fresh && m.Type == "tmpfs" && p.path == "dev" {
			c.dev = fd
		}
	}
	return nil
}

// MountOrder puts the mounts on and below /proc last.
func MountOrder(mounts []oci.SpecMount) []oci.SpecMount {
	ordered := slices.Clone(mounts)
	slices.SortStableFunc(ordered, func(a, b oci.SpecMount) int { return onProc(a) - onProc(b) })
	return ordered
}

func onProc(m oci.SpecMount) int {
	if Under(Inside(m.Destination), "proc") {
		return 1
	}
	return 0
}

// Under tells whether a path is dir or below it.
func Under(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// target is a destination's name in the root, as far as it is known beforehand.
func (c *compiler) target(destination string) string {
	if t, ok := c.facts.Targets[destination]; ok {
		return t
	}
	return Inside(destination)
}

// mount makes one mount and attaches it. It tells whether what is in it cannot have been changed by others.
func (c *compiler) mount(m oci.SpecMount, o Options) (fd birth.Arg, fresh bool, err error) {
	what := m.Type + " on " + m.Destination
	switch {
	case o.Bind:
		fd = c.p.FD(FDMount(m.Destination))
		what = "mount on " + m.Destination
	case m.Type == "cgroup" && !c.facts.Unified:
		return c.cgroupTree(m, o), true, nil
	case m.Type == "cgroup":
		m.Type = "cgroup2"
		fd, fresh = c.filesystem(m, o), true
	case m.Type == "proc", m.Type == "sysfs", m.Type == "devpts", m.Type == "tmpfs", m.Type == "mqueue":
		fd, fresh = c.filesystem(m, o), true
	default:
		fd = c.filesystem(m, o)
	}
	if !o.Bind && o.Propagation|o.PropagationBelow != 0 {
		c.setattr("set propagation of "+what, fd, false, linux.Attributes{Propagation: o.Propagation | o.PropagationBelow})
	}
	c.place("attach "+what, fd, m.Destination, c.facts.Files[m.Destination], m.Type == "proc" || m.Type == "sysfs")
	return fd, fresh, nil
}

// place attaches a mount to its destination. ordinary asks that no symlink leads there, not even one Inside the root.
func (c *compiler) place(step string, mount birth.Arg, destination string, file, ordinary bool) {
	name := c.target(destination)
	if ordinary {
		name = Inside(destination)
	}
	if base, rest, ok := c.within(name); ok {
		if base.fresh {
			c.makeFresh(base, rest, file)
			c.attach(step, mount, base.fd, rest)
			return
		}
		c.makeInside(name, base.path, file)
		at := c.openRacing("find "+destination, c.root, name, 0, nil)
		c.attach(step, mount, at, "")
		return
	}
	at := c.openIn("find "+destination, c.root, name, unix.O_PATH, resolveLiteral)
	c.attach(step, mount, at, "")
}

// within finds the mount that a path is in, among those made so far, and the path from there.
func (c *compiler) within(name string) (base placed, rest string, ok bool) {
	for _, m := range c.mounts {
		if Under(name, m.path) && (!ok || len(m.path) >= len(base.path)) {
			base, ok = m, true
		}
	}
	return base, strings.TrimPrefix(strings.TrimPrefix(name, base.path), "/"), ok
}

// makeFresh makes a mount point in a mount that is the program's alone.
func (c *compiler) makeFresh(base placed, rest string, file bool) {
	if rest == "" || base.kernel {
		return // the kernel's own file systems have what they have
	}
	dirs := strings.Split(rest, "/")
	for i := range dirs {
		name := strings.Join(dirs[:i+1], "/")
		c.makeEntry(base.fd, name, "/"+path.Join(base.path, name), file && i == len(dirs)-1)
	}
}

func (c *compiler) makeEntry(dir birth.Arg, name, shown string, file bool) {
	if file {
		c.call("make file "+shown, linux.SysMknodat, dir, str(name), num(unix.S_IFREG|0o644)).Allow(unix.EEXIST)
		return
	}
	c.call("make "+shown, linux.SysMkdirat, dir, str(name), num(0o755)).Allow(unix.EEXIST)
}

// makeInside makes a mount point in a volume that others may be changing: each directory is looked up again Inside the
// root after what is below it was made, so that no symlink put in its place leads out.
func (c *compiler) makeInside(name, base string, file bool) {
	dir := base
	names := strings.Split(strings.TrimPrefix(name[len(base):], "/"), "/")
	for i, n := range names {
		at := c.openRacing("find /"+dir, c.root, dir, 0, nil)
		c.makeEntry(at, n, "/"+path.Join(dir, n), file && i == len(names)-1)
		dir = path.Join(dir, n)
	}
}

// tries is how often a lookup is made that a rename or a mount elsewhere on the machine can disturb.
const tries = 8

// openRacing opens a path Inside the root that others may be changing, symlinks and all. The kernel gives up on a ".." in
// a symlink while anything on the machine is renamed or mounted, so it is tried again. rules, if any, are for other results.
func (c *compiler) openRacing(step string, root birth.Arg, name string, flags uint64, rules func(birth.Result)) birth.Arg {
	found := c.p.Variable("found", -1)
	done := c.p.Label()
	for i := range tries {
		r := c.openIn(step, root, name, unix.O_PATH|flags, resolveAny)
		if rules != nil {
			rules(r)
		}
		if i < tries-1 {
			r.Allow(unix.EAGAIN)
		}
		c.p.Set("note it", found, r)
		if i < tries-1 {
			c.call("see whether it is open", linux.SysFcntl, found, num(unix.F_GETFD)).On(done, unix.FD_CLOEXEC).Allow(unix.EBADF)
		}
	}
	c.p.Mark(done)
	return found
}

// filesystem makes a file system, as a detached mount.
func (c *compiler) filesystem(m oci.SpecMount, o Options) birth.Arg {
	if m.Type == "proc" && c.joinsPIDs() && c.facts.OldProc {
		return c.procByChild(m, o.attrs())
	}
	what := m.Type + " for " + m.Destination
	fs := c.call("open "+what, linux.SysFsopen, str(m.Type), num(unix.FSOPEN_CLOEXEC))
	if m.Source != "" {
		c.configure(fs, what, linux.KeyValue("source", m.Source))
	}
	for _, p := range o.params {
		if p.Key == "newinstance" {
			continue // every devpts is one
		}
		c.configure(fs, what, p)
	}
	if m.Type == "proc" && c.joinsPIDs() {
		pids := c.p.FD(FDNamespace(oci.PIDNamespace))
		c.call("show the joined PID namespace in it", linux.SysFsconfig, fs, num(unix.FSCONFIG_SET_FD), str("pidns"), num(0), pids)
	}
	attrs := o.attrs()
	if m.Type == "tmpfs" {
		attrs &^= unix.MOUNT_ATTR_RDONLY // it is given back once all is in it
	}
	return c.create(fs, what, attrs)
}

func (c *compiler) configure(fs birth.Arg, what string, p linux.Param) {
	if p.Value == nil {
		c.call("set "+p.Key+" of "+what, linux.SysFsconfig, fs, num(unix.FSCONFIG_SET_FLAG), str(p.Key))
		return
	}
	c.call("set "+p.Key+" of "+what, linux.SysFsconfig, fs, num(unix.FSCONFIG_SET_STRING), str(p.Key), str(*p.Value))
}

func (c *compiler) create(fs birth.Arg, what string, attrs int) birth.Arg {
	c.call("create "+what, linux.SysFsconfig, fs, num(unix.FSCONFIG_CMD_CREATE))
	return c.call("mount "+what, linux.SysFsmount, fs, num(unix.FSMOUNT_CLOEXEC), num(attrs))
}

// joinsPIDs tells whether the container joins a PID namespace, in which only the process' child will be.
func (c *compiler) joinsPIDs() bool {
	for _, n := range c.spec.Linux.Namespaces {
		if n.Type == oci.PIDNamespace && n.Path != "" {
			return true
		}
	}
	return false
}

// procFD is where a procfs is put that another process has made.
const procFD = 1000

// procByChild makes a procfs that shows the joined PID namespace, on kernels that make one for their maker's alone: a child,
// which is in that namespace, makes it, in a table of descriptors that it shares with the process.
func (c *compiler) procByChild(m oci.SpecMount, attrs int) birth.Arg {
	parent := c.p.Label()
	child := c.p.Variable("child", 0)
	const what = "let a child in the PID namespace make its procfs"
	inChild := c.p.Label()
	r := c.p.Clone(what, unix.CLONE_FILES, unix.SIGCHLD, nil).On(inChild, 0)
	c.p.Set("remember the child", child, r)
	c.call("wait for it", linux.SysWait4, child, num(0), num(unix.WALL), num(0)).On(parent, 0)
	c.call("see whether it has made one", linux.SysFcntl, num(procFD), num(unix.F_GETFD)).On(parent, unix.FD_CLOEXEC)
	c.p.Mark(inChild)
	fs := c.call("open proc for "+m.Destination, linux.SysFsopen, str("proc"), num(unix.FSOPEN_CLOEXEC))
	mount := c.create(fs, "proc for "+m.Destination, attrs)
	c.call("leave it to the parent", linux.SysDup3, mount, num(procFD), num(unix.O_CLOEXEC))
	c.call("end", linux.SysExitGroup, num(0))
	c.p.Mark(parent)
	return num(procFD)
}

// cgroupTree is version 1's: a tmpfs with each hierarchy's part for this container in it.
func (c *compiler) cgroupTree(m oci.SpecMount, o Options) birth.Arg {
	set := o.Own.Set | o.Below.Set
	o.Own.Set, o.Below.Set = set&^unix.MOUNT_ATTR_RDONLY, 0
	o.params = []linux.Param{linux.KeyValue("mode", "755")}
	tree := c.filesystem(oci.SpecMount{Type: "tmpfs", Source: "cgroup", Destination: m.Destination}, o)
	c.place("attach the tree of cgroups on "+m.Destination, tree, m.Destination, false, false)
	for _, h := range c.facts.Cgroups {
		shown := path.Join(m.Destination, h.Name)
		c.call("make "+shown, linux.SysMkdirat, tree, str(h.Name), num(0o755))
		c.attach("attach cgroup on "+shown, c.p.FD(FDHierarchy(h.Name)), tree, h.Name)
		for _, l := range h.Controllers {
			if l != h.Name {
				c.call("link "+l+" to "+h.Name, linux.SysSymlinkat, str(h.Name), tree, str(l))
			}
		}
	}
	c.setattr("set what "+m.Destination+" may", tree, true, linux.Attributes{Set: set &^ unix.MOUNT_ATTR_RELATIME})
	return tree
}

// readonlyLater takes away the right to write into file systems that the program itself had to write into.
func (c *compiler) readonlyLater() {
	for _, m := range c.later {
		c.setattr("make /"+m.path+" read-only", m.fd, false, linux.Attributes{Set: unix.MOUNT_ATTR_RDONLY})
	}
}
