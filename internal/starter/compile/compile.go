package compile

import (
	"fmt"
	"path"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// Birth is a compiled spec: what to clone, and what the clone does.
type Birth struct {
	Program *birth.Program
	Flags   uintptr // of the clone: the namespaces that are made by it
	Forks   bool    // the program goes on in a child, which it tells of
	Tree    bool    // wants a copy of the host's mounts, for hooks that run in the container's namespaces
}

// What a process tells while it is being born. A PID is told as itself: these are no PIDs.
const (
	TellConsole = -1 - iota // the terminal's master is with it
	TellMounted             // all mounts are there; waits for the hooks before pivot_root
	TellReady               // all but the user is as it will be; waits for the startContainer hooks
	TellRunning             // what remains is to become the command
	TellRecord              // it waits for its start to be on record, after hooks
)

// Names of the descriptors that programs use.
const (
	FDRootfs    = "rootfs"
	FDContainer = "container" // pidfd of the one to enter
	FDTerminal  = "terminal"
	FDWitness   = "witness"
)

func FDCgroup(i int) string             { return fmt.Sprintf("cgroup %d", i+1) }
func FDMount(destination string) string { return "mount for " + destination }
func FDNamespace(t oci.LinuxNamespaceType) string {
	return string(t) + " namespace"
}
func FDHierarchy(name string) string { return "cgroup hierarchy " + name }
func FDDevice(p string) string       { return "device " + p }
func FDNull(i int) string            { return fmt.Sprintf("null device %d", i) }

var StdioNames = [3]string{"stdin", "stdout", "stderr"}

// compiler turns one spec into one program, from the top of the program to its end.
type compiler struct {
	p     *birth.Program
	spec  *oci.Spec
	facts Facts

	root      birth.Arg
	mounts    []placed  // what has been mounted so far
	dev       birth.Arg // the tmpfs on /dev; nil where the container's /dev is not of our making
	null      birth.Arg // a null device that is mounted in the container's namespace: what masks are cloned from
	tty       birth.Arg // the process' end of its terminal
	nulls     int       // null devices asked for as descriptors
	later     []placed  // file systems that become read-only once all is in them
	forks     bool      // the program goes on in a child
	hidden    bool      // others cannot look into the process
	emptyRoot bool      // the program starts in an empty root
	userns    bool      // the program runs in a user namespace of the container's
}

// placed is a mount that the program has made.
type placed struct {
	path   string
	fd     birth.Arg
	fresh  bool // nobody but the program can have changed what is in it: names in it may be used as they are
	kernel bool // procfs or sysfs, in which nothing can be made
}

// Container turns a container's spec into the program by which its process is born. cgroups is how many cgroup files there
// are to write to.
func Container(spec *oci.Spec, facts Facts, cgroups int) (*Birth, error) {
	if err := Check(spec); err != nil {
		return nil, err
	}
	ns, err := NamespacesOf(spec)
	if err != nil {
		return nil, err
	}
	c := &compiler{p: birth.New("container"), spec: spec, facts: facts, userns: ns.User()}
	c.root = c.p.FD(FDRootfs)
	b := &Birth{Program: c.p, Flags: ns.First(), Tree: WantsHost(spec)}
	c.emptyRoot = !b.Tree && !c.userns
	c.enter(ns, cgroups)
	c.call("create files with the modes asked for", linux.SysUmask, num(0))
	if b.Tree {
		c.call("keep mounts from the host", linux.SysMount, num(0), str("/"), num(0), num(unix.MS_REC|unix.MS_SLAVE))
	}
	if err := c.tree(); err != nil {
		return nil, err
	}
	c.hooks("wait for the hooks of the mounts", TellMounted, hasHooks(spec, beforePivot))
	c.pivot()
	c.names(ns)
	c.hooks("wait for the hooks of the start", TellReady, hasHooks(spec, beforeExec))
	c.awaitRecord(facts)
	if err := c.process(spec.Process, ns.lateFork()); err != nil {
		return nil, err
	}
	b.Forks = c.forks
	return b, nil
}

// tree mounts the root and everything in it.
func (c *compiler) tree() error {
	at := "/"
	if c.facts.Attach != "" {
		at = c.facts.Attach
	}
	c.call("attach the root", linux.SysMoveMount, c.root, str(""), num(unix.AT_FDCWD), str(at), num(unix.MOVE_MOUNT_F_EMPTY_PATH))
	if err := c.allMounts(); err != nil {
		return err
	}
	if err := c.devices(); err != nil {
		return err
	}
	if err := c.console(); err != nil {
		return err
	}
	c.readonlyLater()
	if err := c.sysctls(c.spec.Linux.Sysctl); err != nil {
		return err
	}
	c.readonlyPaths()
	c.maskedPaths()
	return nil
}

// pivot makes the root the root of the mount namespace. The old one is empty and read-only, which is what hides a directory:
// it is put on one that is to be hidden. Unmounting it instead takes as long as every processor needs to notice.
func (c *compiler) pivot() {
	c.call("enter the root", linux.SysFchdir, c.root)
	done := c.p.Label()
	if hidden := c.hiddenByOldRoot(); hidden != "" {
		c.call("make it the root, and hide "+hidden+" with the old one", linux.SysPivotRoot, str("."), str(Inside(hidden))).
			On(done, 0).Allow(unix.ENOENT, unix.ENOTDIR, unix.EINVAL)
	}
	c.call("make it the root", linux.SysPivotRoot, str("."), str("."))
	c.call("let go of the old root", linux.SysUmount2, str("."), num(unix.MNT_DETACH))
	c.p.Mark(done)
	attr := uint64(0)
	if c.spec.Root != nil && c.spec.Root.Readonly {
		attr = unix.MOUNT_ATTR_RDONLY
	}
	propagation := propagations[strings.TrimPrefix(c.spec.Linux.RootfsPropagation, "r")]
	if attr != 0 || propagation != 0 && propagation != unix.MS_PRIVATE {
		c.setattr("set what the root may", c.root, false, linux.Attributes{Set: attr, Propagation: propagation})
	}
}

func (c *compiler) names(ns Namespaces) {
	if c.spec.Hostname != "" && ns.listed(unix.CLONE_NEWUTS) {
		c.hostname(c.spec.Hostname)
	}
	if d := c.spec.Domainname; d != "" && ns.listed(unix.CLONE_NEWUTS) {
		c.call("set domain name "+d, linux.SysSetdomainname, str(d), num(len(d)))
	}
}

func (c *compiler) hostname(h string) {
	c.call("set hostname "+h, linux.SysSethostname, str(h), num(len(h)))
}

// awaitRecord waits for the word that the start is on record. The word is sent ahead, and so is not waited for in truth; but
// with hooks, whose waits it would end, it is asked for.
func (c *compiler) awaitRecord(facts Facts) {
	const what = "wait until the start is on record"
	switch {
	case !facts.Wait:
	case c.spec.Hooks != nil:
		c.hooks(what, TellRecord, true)
	default:
		c.p.Wait(what)
	}
}

func (c *compiler) hooks(what string, word int32, wanted bool) {
	if !wanted {
		return
	}
	c.p.Tell(what, birth.Value(word))
	c.p.Wait(what)
}

func (c *compiler) call(step string, sys linux.Syscall, args ...birth.Arg) birth.Result {
	return c.p.Call(step, sys, args...)
}

// openIn opens a path from dir, which is a root for symlinks.
func (c *compiler) openIn(step string, dir birth.Arg, name string, flags, resolve uint64) birth.Result {
	how := birth.OpenHow(flags|unix.O_CLOEXEC, 0, resolve)
	return c.call(step, linux.SysOpenat2, dir, str(name), how, num(birth.OpenHowSize))
}

func (c *compiler) setattr(step string, fd birth.Arg, below bool, a linux.Attributes) birth.Result {
	flags := unix.AT_EMPTY_PATH
	if below {
		flags |= unix.AT_RECURSIVE
	}
	attr := birth.MountAttr(a.Set, a.Clear, a.Propagation, nil)
	return c.call(step, linux.SysMountSetattr, fd, str(""), num(flags), attr, num(birth.MountAttrSize))
}

// attach puts a mount on what at is open on, or on a name below it.
func (c *compiler) attach(step string, mount, at birth.Arg, name string) birth.Result {
	flags := unix.MOVE_MOUNT_F_EMPTY_PATH
	if name == "" {
		flags |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	return c.call(step, linux.SysMoveMount, mount, str(""), at, str(name), num(flags))
}

func num[T birth.Integer](v T) birth.Arg { return birth.Value(v) }
func str(s string) birth.Arg             { return birth.String(s) }

// Inside is a path relative to the root, without "..": the empty string is the root itself.
func Inside(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), errdefs.ErrNotImplemented)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), errdefs.ErrInvalidArgument)
}
