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
func (t *tree) allMounts() error {
	for _, m := range MountOrder(t.spec.Mounts) {
		o, err := ParseOptions(m)
		if err != nil {
			return err
		}
		fd, fresh, err := t.mount(m, o)
		if err != nil {
			return err
		}
		if t.facts.Files[m.Destination] {
			continue // nothing is mounted below a file
		}
		p := placed{path: t.target(m.Destination), fd: fd, fresh: fresh, kernel: fresh && (m.Type == "proc" || m.Type == "sysfs")}
		t.mounts = append(t.mounts, p)
		if (fresh || o.CopyUp) && m.Type == "tmpfs" && o.Own.Set&unix.MOUNT_ATTR_RDONLY != 0 {
			t.later = append(t.later, p)
		}
		if fresh && m.Type == "tmpfs" && p.path == "dev" {
			t.dev = fd
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
func (t *tree) target(destination string) string {
	if known, ok := t.facts.Targets[destination]; ok {
		return known
	}
	return Inside(destination)
}

// mount makes one mount and attaches it. It tells whether what is in it cannot have been changed by others.
func (t *tree) mount(m oci.SpecMount, o Options) (fd birth.Arg, fresh bool, err error) {
	what := m.Type + " on " + m.Destination
	switch {
	case o.Bind:
		fd = t.p.FD(FDMount(m.Destination))
		what = "mount on " + m.Destination
	case Outside(m, o):
		fd = t.p.FD(FDMount(m.Destination))
	case m.Type == "cgroup" && !t.facts.Unified:
		return t.cgroupTree(m, o), true, nil
	case m.Type == "cgroup":
		m.Type = "cgroup2"
		fd, fresh = t.filesystem(m, o), true
	default:
		fd, fresh = t.filesystem(m, o), true
	}
	if !o.Bind && o.Propagation|o.PropagationBelow != 0 {
		t.setattr("set propagation of "+what, fd, false, linux.Attributes{Propagation: o.Propagation | o.PropagationBelow})
	}
	t.place("attach "+what, fd, m.Destination, t.facts.Files[m.Destination], m.Type == "proc" || m.Type == "sysfs")
	return fd, fresh, nil
}

// place attaches a mount to its destination. ordinary asks that no symlink leads there, not even one Inside the root.
func (t *tree) place(step string, mount birth.Arg, destination string, file, ordinary bool) {
	name := t.target(destination)
	if ordinary {
		name = Inside(destination)
	}
	if base, rest, ok := t.within(name); ok {
		if base.fresh {
			t.makeFresh(base, rest, file)
			t.attach(step, mount, base.fd, rest)
			return
		}
		t.makeInside(name, base.path, file)
		at := t.openRacing("find "+destination, t.root, name, 0, nil)
		t.attach(step, mount, at, "")
		return
	}
	at := t.openIn("find "+destination, t.root, name, unix.O_PATH, resolveLiteral)
	t.attach(step, mount, at, "")
}

// within finds the mount that a path is in, among those made so far, and the path from there.
func (t *tree) within(name string) (base placed, rest string, ok bool) {
	for _, m := range t.mounts {
		if Under(name, m.path) && (!ok || len(m.path) >= len(base.path)) {
			base, ok = m, true
		}
	}
	return base, strings.TrimPrefix(strings.TrimPrefix(name, base.path), "/"), ok
}

// makeFresh makes a mount point in a mount that is the program's alone.
func (t *tree) makeFresh(base placed, rest string, file bool) {
	if rest == "" || base.kernel {
		return // the kernel's own file systems have what they have
	}
	dirs := strings.Split(rest, "/")
	for i := range dirs {
		name := strings.Join(dirs[:i+1], "/")
		t.makeEntry(base.fd, name, "/"+path.Join(base.path, name), file && i == len(dirs)-1)
	}
}

func (t *tree) makeEntry(dir birth.Arg, name, shown string, file bool) {
	if file {
		t.call("make file "+shown, linux.SysMknodat, dir, str(name), num(unix.S_IFREG|0o644)).Allow(unix.EEXIST)
		return
	}
	t.call("make "+shown, linux.SysMkdirat, dir, str(name), num(0o755)).Allow(unix.EEXIST)
}

// makeInside makes a mount point in a volume that others may be changing: each directory is looked up again Inside the
// root after what is below it was made, so that no symlink put in its place leads out.
func (t *tree) makeInside(name, base string, file bool) {
	dir := base
	names := strings.Split(strings.TrimPrefix(name[len(base):], "/"), "/")
	for i, n := range names {
		at := t.openRacing("find /"+dir, t.root, dir, 0, nil)
		t.makeEntry(at, n, "/"+path.Join(dir, n), file && i == len(names)-1)
		dir = path.Join(dir, n)
	}
}

// filesystem makes a file system, as a detached mount.
func (t *tree) filesystem(m oci.SpecMount, o Options) birth.Arg {
	if m.Type == "proc" && t.joinsPIDs() && t.facts.OldProc {
		return t.procByChild(m, o.attrs())
	}
	what := m.Type + " for " + m.Destination
	fs := t.call("open "+what, linux.SysFsopen, str(m.Type), num(unix.FSOPEN_CLOEXEC))
	if m.Source != "" {
		t.configure(fs, what, linux.KeyValue("source", m.Source))
	}
	for _, p := range o.params {
		if p.Key == "newinstance" {
			continue // every devpts is one
		}
		t.configure(fs, what, p)
	}
	if m.Type == "proc" && t.joinsPIDs() {
		pids := t.p.FD(FDNamespace(oci.PIDNamespace))
		t.call("show the joined PID namespace in it", linux.SysFsconfig, fs, num(unix.FSCONFIG_SET_FD), str("pidns"), num(0), pids)
	}
	attrs := o.attrs()
	if m.Type == "tmpfs" {
		attrs &^= unix.MOUNT_ATTR_RDONLY // it is given back once all is in it
	}
	return t.create(fs, what, attrs)
}

// joinsPIDs tells whether the container joins a PID namespace, in which only the process' child will be.
func (t *tree) joinsPIDs() bool {
	for _, n := range t.spec.Linux.Namespaces {
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
func (t *tree) procByChild(m oci.SpecMount, attrs int) birth.Arg {
	parent := t.p.Label()
	child := t.p.Variable("child", 0)
	const what = "let a child in the PID namespace make its procfs"
	inChild := t.p.Label()
	r := t.p.Clone(what, unix.CLONE_FILES, unix.SIGCHLD, nil).On(inChild, 0)
	t.p.Set("remember the child", child, r)
	t.call("wait for it", linux.SysWait4, child, num(0), num(unix.WALL), num(0)).On(parent, 0)
	t.call("see whether it has made one", linux.SysFcntl, num(procFD), num(unix.F_GETFD)).On(parent, unix.FD_CLOEXEC)
	t.p.Mark(inChild)
	fs := t.call("open proc for "+m.Destination, linux.SysFsopen, str("proc"), num(unix.FSOPEN_CLOEXEC))
	mount := t.create(fs, "proc for "+m.Destination, attrs)
	t.call("leave it to the parent", linux.SysDup3, mount, num(procFD), num(unix.O_CLOEXEC))
	t.call("end", linux.SysExitGroup, num(0))
	t.p.Mark(parent)
	return num(procFD)
}

// cgroupTree is version 1's: a tmpfs with each hierarchy's part for this container in it.
func (t *tree) cgroupTree(m oci.SpecMount, o Options) birth.Arg {
	set := o.Own.Set | o.Below.Set
	o.Own.Set, o.Below.Set = set&^unix.MOUNT_ATTR_RDONLY, 0
	o.params = []linux.Param{linux.KeyValue("mode", "755")}
	tree := t.filesystem(oci.SpecMount{Type: "tmpfs", Source: "cgroup", Destination: m.Destination}, o)
	t.place("attach the tree of cgroups on "+m.Destination, tree, m.Destination, false, false)
	for _, h := range t.facts.Cgroups {
		shown := path.Join(m.Destination, h.Name)
		t.call("make "+shown, linux.SysMkdirat, tree, str(h.Name), num(0o755))
		t.attach("attach cgroup on "+shown, t.p.FD(FDHierarchy(h.Name)), tree, h.Name)
		for _, l := range h.Controllers {
			if l != h.Name {
				t.call("link "+l+" to "+h.Name, linux.SysSymlinkat, str(h.Name), tree, str(l))
			}
		}
	}
	t.setattr("set what "+m.Destination+" may", tree, true, linux.Attributes{Set: set &^ unix.MOUNT_ATTR_RELATIME})
	return tree
}

// readonlyLater takes away the right to write into file systems that the program itself had to write into.
func (t *tree) readonlyLater() {
	for _, m := range t.later {
		t.setattr("make /"+m.path+" read-only", m.fd, false, linux.Attributes{Set: unix.MOUNT_ATTR_RDONLY})
	}
}
