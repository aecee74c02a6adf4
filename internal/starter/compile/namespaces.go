package compile

import (
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// namespaceFlags are the kinds of namespaces that a spec may name, in the order in which they are joined: the user
// namespace first, as it gives the right to join and make the others.
var namespaceFlags = []struct {
	kind oci.LinuxNamespaceType
	flag uintptr
}{
	{oci.UserNamespace, unix.CLONE_NEWUSER},
	{oci.NetworkNamespace, unix.CLONE_NEWNET},
	{oci.IPCNamespace, unix.CLONE_NEWIPC},
	{oci.UTSNamespace, unix.CLONE_NEWUTS},
	{oci.PIDNamespace, unix.CLONE_NEWPID},
	{oci.CgroupNamespace, unix.CLONE_NEWCGROUP},
	{oci.MountNamespace, unix.CLONE_NEWNS},
}

// Namespaces of a spec: those to make, those to join; the host's are in neither.
type Namespaces struct {
	Fresh, Joined uintptr
}

// NamespacesOf reads a spec's namespaces.
func NamespacesOf(spec *oci.Spec) (Namespaces, error) {
	var ns Namespaces
	for _, n := range spec.Linux.Namespaces {
		flag := Flag(n.Type)
		switch {
		case flag == 0:
			return ns, unsupported("%s namespace", n.Type)
		case (ns.Fresh|ns.Joined)&flag != 0:
			return ns, invalid("the %s namespace is given twice", n.Type)
		case n.Path != "":
			ns.Joined |= flag
		default:
			ns.Fresh |= flag
		}
	}
	switch {
	case ns.Joined&(unix.CLONE_NEWNS|unix.CLONE_NEWCGROUP) != 0:
		return ns, unsupported("joining a mount or cgroup namespace at a path")
	case ns.Fresh&unix.CLONE_NEWNS == 0:
		return ns, unsupported("a container without a mount namespace of its own")
	case ns.Fresh&unix.CLONE_NEWUSER != 0 && (len(spec.Linux.UIDMappings) == 0 || len(spec.Linux.GIDMappings) == 0):
		return ns, invalid("a new user namespace needs mappings of user and group IDs")
	}
	return ns, nil
}

// Flag is the flag for clone of a kind of namespace.
func Flag(kind oci.LinuxNamespaceType) uintptr {
	for _, known := range namespaceFlags {
		if known.kind == kind {
			return known.flag
		}
	}
	return 0
}

func (ns Namespaces) listed(flag uintptr) bool { return (ns.Fresh|ns.Joined)&flag != 0 }

// User tells whether there is a user namespace but the host's.
func (ns Namespaces) User() bool { return ns.listed(unix.CLONE_NEWUSER) }

// early tells that the other namespaces are made after the user namespace that the process joins, as that must own them.
func (ns Namespaces) early() bool {
	return ns.Joined&unix.CLONE_NEWUSER != 0 && ns.Fresh&^unix.CLONE_NEWCGROUP != 0
}

// lateFork tells that only a child is in the PID namespace that the process joins. The child is made as late as can be:
// whoever is in that namespace already sees no process of ours with more rights than the container's own.
func (ns Namespaces) lateFork() bool { return ns.Joined&unix.CLONE_NEWPID != 0 }

// First are the namespaces that the clone makes. The cgroup namespace comes later: its root is the cgroup that the process
// is in when it is made.
func (ns Namespaces) First() uintptr {
	if ns.early() {
		return 0
	}
	return ns.Fresh &^ unix.CLONE_NEWCGROUP
}

// enter puts the process where it will live: cgroups, then namespaces.
func (c *compiler) enter(ns Namespaces, cgroups int) {
	if ns.Joined&(unix.CLONE_NEWPID|unix.CLONE_NEWUSER) != 0 {
		c.hide()
	}
	c.joinCgroups(cgroups)
	for _, n := range namespaceFlags {
		if ns.Joined&n.flag != 0 {
			c.call("join the "+string(n.kind)+" namespace", linux.SysSetns, c.p.FD(FDNamespace(n.kind)), num(n.flag))
		}
	}
	if ns.Joined&unix.CLONE_NEWUSER != 0 {
		c.becomeRoot()
	}
	switch flags := ns.Fresh &^ unix.CLONE_NEWCGROUP; {
	case ns.early() && flags&unix.CLONE_NEWPID != 0:
		c.fork("fork into the new namespaces", uint64(flags))
	case ns.early():
		c.call("make the new namespaces", linux.SysUnshare, num(flags))
	}
	if ns.Fresh&unix.CLONE_NEWCGROUP != 0 {
		c.call("make a cgroup namespace", linux.SysUnshare, num(unix.CLONE_NEWCGROUP))
	}
}

// hide keeps processes that can see this one from looking into it, unless they could as well look into the host's.
func (c *compiler) hide() {
	c.hidden = true
	c.call("keep others from looking in", linux.SysPrctl, num(unix.PR_SET_DUMPABLE), num(0))
}

func (c *compiler) joinCgroups(n int) {
	for i := range n {
		name := FDCgroup(i)
		c.call("join "+name, linux.SysWrite, c.p.FD(name), birth.Bytes([]byte("0")), num(1))
	}
}

// becomeRoot takes the IDs of a user namespace's root: those from outside are not mapped in it.
func (c *compiler) becomeRoot() {
	c.call("become the namespace's root group", linux.SysSetresgid, num(0), num(0), num(0))
	c.call("become the namespace's root", linux.SysSetresuid, num(0), num(0), num(0))
}

// fork goes on as a child, which is told of with its pidfd and waits until it is recorded. It is a child of this process'
// own parent.
func (c *compiler) fork(step string, flags uint64) {
	c.forks = true
	pidfd := birth.NewBuffer("pidfd", 4)
	child := c.p.Label()
	pid := c.p.Clone(step, flags|unix.CLONE_PARENT|unix.CLONE_PIDFD, 0, pidfd).On(child, 0)
	c.p.Tell("tell of the child", pid, pidfd.Int32(0))
	c.call("leave the rest to it", linux.SysExitGroup, num(0))
	c.p.Mark(child)
	c.p.Wait("wait to be recorded")
}
