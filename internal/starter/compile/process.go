package compile

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// process is the part of a program that makes of its own process what the spec asks for.
type process struct{ *compiler }

// defaultUmask is what a process gets that asks for none.
const defaultUmask = 0o022

// become turns the program's process, which stands in its container already, into what the spec asks for. Everything that a
// filter might forbid comes before it; without no_new_privs, loading it takes CAP_SYS_ADMIN, which is given up right after.
//
// Where the process must fork to be in a PID namespace, the child, which others there can see and with CAP_SYS_PTRACE take over, is
// made when it is bound as the container is: after the filter, and without the right that loading it took. A filter that
// forbids what is still to be done comes after that, as it must: until then the child has one that is like it, but for these calls.
// What it has besides, if it may gain privileges, is CAP_SYS_ADMIN, without which the last filter could not be loaded: who has
// CAP_SYS_PTRACE in such a namespace, and such a profile, can come by what that allows within the profile.
func (c process) become(p *oci.Process, fork bool) error {
	caps, err := capabilitiesOf(p)
	if err != nil {
		return err
	}
	c.stdio(p)
	c.call("take a keyring of its own", linux.SysKeyctl, num(unix.KEYCTL_JOIN_SESSION_KEYRING), num(0)).Allow(unix.ENOSYS, unix.EDQUOT)
	if err := c.rlimits(p.Rlimits); err != nil {
		return err
	}
	c.closeOthers()
	c.user(p, caps)
	c.cwd(p.Cwd)
	file := c.lookup(p)
	c.umask(p.User.Umask)
	filter := len(c.facts.Filter) > 0
	loading := caps
	if filter && !p.NoNewPrivileges {
		loading.effective |= 1 << unix.CAP_SYS_ADMIN
		loading.permitted |= 1 << unix.CAP_SYS_ADMIN
	}
	c.capabilities(loading)
	if p.NoNewPrivileges {
		c.call("gain no new privileges", linux.SysPrctl, num(unix.PR_SET_NO_NEW_PRIVS), num(1))
	}
	bind := func() {
		if filter {
			c.filter("load the seccomp filter", c.facts.Filter)
		}
		if loading != caps {
			c.capset("give up what loading the filter took", caps)
		}
	}
	first := fork && c.facts.FilterFirst
	switch {
	case first:
		bind()
	case fork && len(c.facts.Passage) > 0:
		c.filter("load the seccomp filter, but for what is still to be done", c.facts.Passage)
	}
	if fork {
		c.fork("fork into the PID namespace", 0)
	}
	c.session(p)
	c.p.Tell("say that it will run", birth.Value(int32(TellRunning)))
	if c.facts.Witness {
		c.call("leave word of it", linux.SysWrite, num(witness), str("1"), num(1))
	}
	if !first {
		bind()
	}
	c.call(StepExec, linux.SysExecve, file, birth.Strings(p.Args...), birth.Environ(p.Env...))
	return nil
}

// FilteredCall is a call with those of its arguments that are known before.
type FilteredCall struct {
	Sys  linux.Syscall
	Args [6]uint64
}

// AfterFilter are the calls that come after the filter where it is loaded before the fork.
func AfterFilter() []FilteredCall {
	return []FilteredCall{
		{linux.SysCapset, [6]uint64{}},
		{linux.SysClone, [6]uint64{unix.CLONE_PARENT | unix.CLONE_PIDFD}},
		{linux.SysSendmsg, [6]uint64{birth.Socket, 0, unix.MSG_NOSIGNAL}},
		{linux.SysExitGroup, [6]uint64{}},
		{linux.SysRead, [6]uint64{birth.Socket, 0, 8}},
		{linux.SysSetsid, [6]uint64{}},
		{linux.SysIoctl, [6]uint64{0, unix.TIOCSCTTY}},
		{linux.SysWrite, [6]uint64{witness, 0, 1}},
		{linux.SysExecve, [6]uint64{}},
	}
}

// LoadFilter is the call besides that comes after the filter that lets these through.
func LoadFilter() FilteredCall {
	return FilteredCall{linux.SysSeccomp, [6]uint64{unix.SECCOMP_SET_MODE_FILTER}}
}

// witness is the number under which the pipe stays open that the process leaves word in, until the execve closes it.
const witness = birth.Socket + 1

func (c process) closeOthers() {
	from := birth.Socket + 1
	if c.facts.Witness {
		// EINVAL: it has that number.
		c.call("put the witness aside", linux.SysDup3, c.p.FD(FDWitness), num(witness), num(unix.O_CLOEXEC)).Allow(unix.EINVAL)
		from = witness + 1
	}
	c.call("close everything else", linux.SysCloseRange, num(from), num(^uint32(0)), num(0))
}

// session is begun by the process that stays: the end of a session's first process hangs up its terminal.
func (c process) session(p *oci.Process) {
	c.call("begin a session", linux.SysSetsid)
	if p.Terminal {
		c.call("make the terminal the controlling one", linux.SysIoctl, num(0), num(unix.TIOCSCTTY), num(0))
	}
}

// stdio puts the three streams in their places.
func (c process) stdio(p *oci.Process) {
	if p.Terminal {
		if c.tty == nil {
			c.tty = c.p.FD(FDTerminal)
		}
		for i, name := range StdioNames {
			c.call("make the terminal its "+name, linux.SysDup3, c.tty, num(i), num(0))
		}
		if p.User.UID != 0 {
			c.call("give it to the user", linux.SysFchown, num(0), num(p.User.UID), num(-1)).Allow(unix.EINVAL, unix.EPERM, unix.EROFS)
		}
		return
	}
	given := [3]bool{c.facts.Stdin, c.facts.Stdout, c.facts.Stderr}
	for i, name := range StdioNames {
		if given[i] {
			c.call("set its "+name, linux.SysDup3, c.p.FD(name), num(i), num(0))
			continue
		}
		if c.dev != nil {
			how := birth.OpenHow(unix.O_RDWR|unix.O_CLOEXEC, 0, resolveFresh)
			null := c.call("open /dev/null", linux.SysOpenat2, c.dev, str("null"), how, num(birth.OpenHowSize))
			c.call("make it its "+name, linux.SysDup3, null, num(i), num(0))
		}
	}
}

func (c process) rlimits(limits []oci.POSIXRlimit) error {
	for _, r := range limits {
		n, ok := oci.RlimitNumber(r.Type)
		if !ok {
			return invalid("unknown resource limit %q", r.Type)
		}
		// Without CAP_SYS_RESOURCE a limit cannot be raised: the process does with what its parent has.
		c.call("set "+r.Type, linux.SysPrlimit64, num(0), num(n), birth.Rlimit(r.Soft, r.Hard), num(0)).Allow(unix.EPERM)
	}
	return nil
}

// user changes who the process is, and keeps the permitted capabilities over it. The bounding set is cut first, while the
// process may.
func (c process) user(p *oci.Process, caps capabilitySets) {
	for i := range c.facts.LastCap + 1 {
		if caps.bounding&(1<<i) == 0 {
			c.call("drop from the bounding set", linux.SysPrctl, num(unix.PR_CAPBSET_DROP), num(i))
		}
	}
	c.call("keep capabilities over the change of user", linux.SysPrctl, num(unix.PR_SET_KEEPCAPS), num(1))
	groups := p.User.AdditionalGids
	c.call("set additional groups", linux.SysSetgroups, num(len(groups)), birth.Groups(groups))
	c.call("become the group", linux.SysSetresgid, num(p.User.GID), num(p.User.GID), num(p.User.GID))
	c.call("become the user", linux.SysSetresuid, num(p.User.UID), num(p.User.UID), num(p.User.UID))
	c.call("keep them no longer", linux.SysPrctl, num(unix.PR_SET_KEEPCAPS), num(0))
	if c.hidden && p.User.UID != 0 {
		c.hide() // fs.suid_dumpable may have let the change of user undo it
	}
}

// cwd enters the working directory. It is looked up Inside the root with no way through the links of a procfs, so that a
// descriptor of the host's, were there one, could not lead out.
func (c process) cwd(dir string) {
	c.call("enter /", linux.SysChdir, str("/"))
	if name := Inside(dir); name != "" {
		at := c.openRacing("find working directory "+dir, birth.Value(unix.AT_FDCWD), name, 0, nil)
		c.call("enter working directory "+dir, linux.SysFchdir, at)
	}
}

func (c process) capset(step string, caps capabilitySets) {
	c.call(step, linux.SysCapset, birth.CapHeader(), birth.CapData(caps.effective, caps.permitted, caps.inheritable))
}

func (c process) capabilities(caps capabilitySets) {
	c.capset("set capabilities", caps)
	c.call("clear ambient capabilities", linux.SysPrctl, num(unix.PR_CAP_AMBIENT), num(unix.PR_CAP_AMBIENT_CLEAR_ALL))
	for i := range c.facts.LastCap + 1 {
		if caps.ambient&(1<<i) != 0 {
			c.call("raise an ambient capability", linux.SysPrctl, num(unix.PR_CAP_AMBIENT), num(unix.PR_CAP_AMBIENT_RAISE), num(i))
		}
	}
}

func (c process) umask(mask *uint32) {
	m := uint32(defaultUmask)
	if mask != nil {
		m = *mask
	}
	c.call("set umask", linux.SysUmask, num(m))
}

func (c process) filter(step string, program []unix.SockFilter) {
	c.call(step, linux.SysSeccomp, num(unix.SECCOMP_SET_MODE_FILTER), num(c.facts.FilterFlags), birth.Filter(program))
}

// Steps whose failure has words of its own: see failure.
const (
	StepLookPath = "look for the command in $PATH"
	StepLookup   = "look for the command"
	StepExec     = "run the command"
)

// lookup finds the command as the process itself will see it.
func (c process) lookup(p *oci.Process) birth.Arg {
	name := p.Args[0]
	if !strings.Contains(name, "/") {
		return c.lookPath(name, p.Env)
	}
	c.call(StepLookup, linux.SysFaccessat2, num(unix.AT_FDCWD), str(name), num(unix.X_OK), num(unix.AT_EACCESS))
	return str(name)
}

// lookPath finds the first file of that name in the directories of the process' own PATH which it may execute.
func (c process) lookPath(name string, env []string) birth.Arg {
	found := c.p.Variable("command", 0)
	done := c.p.Label()
	for _, dir := range strings.Split(pathOf(env), ":") {
		if !strings.HasPrefix(dir, "/") {
			continue // a command is never taken from wherever the working directory is
		}
		file := strings.TrimRight(dir, "/") + "/" + name
		c.p.Set("try "+file, found, str(file))
		c.call("see whether it is there", linux.SysFaccessat2, num(unix.AT_FDCWD), found, num(unix.X_OK), num(unix.AT_EACCESS)).
			On(done, 0).Allow(unix.ENOENT, unix.ENOTDIR, unix.EACCES, unix.ELOOP, unix.ENAMETOOLONG)
	}
	c.p.Fail(StepLookPath, unix.ENOENT)
	c.p.Mark(done)
	return found
}

func pathOf(env []string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], "PATH="); ok {
			return v
		}
	}
	return ""
}
