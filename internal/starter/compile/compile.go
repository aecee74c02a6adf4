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
	Late    bool    // that child is the last thing that the program makes, in a PID namespace with others
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

// FDCgroup and the functions below it name the descriptors of which a program may use several.
func FDCgroup(i int) string             { return fmt.Sprintf("cgroup %d", i+1) }
func FDMount(destination string) string { return "mount for " + destination }
func FDNamespace(t oci.LinuxNamespaceType) string {
	return string(t) + " namespace"
}
func FDHierarchy(name string) string { return "cgroup hierarchy " + name }
func FDDevice(p string) string       { return "device " + p }
func FDNull(i int) string            { return fmt.Sprintf("null device %d", i) }

// StdioNames are the descriptors that become 0, 1 and 2.
var StdioNames = [3]string{"stdin", "stdout", "stderr"}

// compiler turns one spec into one program, from the top of the program to its end.
type compiler struct {
	p     *birth.Program
	spec  *oci.Spec
	facts Facts

	dev       birth.Arg // the tmpfs on /dev; nil where the container's /dev is not of our making
	tty       birth.Arg // the process' end of its terminal
	forks     bool      // the program goes on in a child
	hidden    bool      // others cannot look into the process
	emptyRoot bool      // the program starts in an empty root
	userns    bool      // the program runs in a user namespace of the container's
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
	c.p.Grow(usualSteps)
	t := &tree{compiler: c, root: c.p.FD(FDRootfs)}
	b := &Birth{Program: c.p, Flags: ns.First(), Tree: WantsHost(spec)}
	c.emptyRoot = !b.Tree && !c.userns
	c.enter(ns, cgroups)
	c.call("create files with the modes asked for", linux.SysUmask, num(0))
	if b.Tree {
		c.call("keep mounts from the host", linux.SysMount, num(0), str("/"), num(0), num(unix.MS_REC|unix.MS_SLAVE))
	}
	if err := t.make(); err != nil {
		return nil, err
	}
	c.hooks("wait for the hooks of the mounts", TellMounted, hasHooks(spec, beforePivot))
	t.enterRoot()
	c.names(ns)
	c.hooks("wait for the hooks of the start", TellReady, hasHooks(spec, beforeExec))
	c.awaitRecord(facts)
	if err := (process{c}).become(spec.Process, ns.lateFork()); err != nil {
		return nil, err
	}
	b.Forks, b.Late = c.forks, ns.lateFork()
	return b, nil
}

// usualSteps is room for the steps of most containers.
const usualSteps = 256

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
