package birth

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest/golden"
	"github.com/hull-pods/hull/internal/linux"
)

// everything uses each kind of argument and each family of constants once.
func everything() *Program {
	p := New("everything")
	root, out := p.FD("rootfs"), p.FD("stdout")
	at, none := Value(unix.AT_FDCWD), String("")

	p.Call("join the Pod's namespaces", linux.SysSetns, p.FD("infra"), Value(unix.CLONE_NEWNET|unix.CLONE_NEWIPC|unix.CLONE_NEWUTS))
	p.Call("own mounts", linux.SysUnshare, Value(unix.CLONE_NEWNS|unix.CLONE_NEWCGROUP))
	p.Call("join the cgroup", linux.SysWrite, p.FD("tasks"), Bytes([]byte("0")), Value(1))
	p.Call("keep mounts from the host", linux.SysMount, none, String("/"), none, Value(unix.MS_REC|unix.MS_SLAVE), Value(0))
	p.Call("attach the root", linux.SysMoveMount, root, none, at, String("/mnt"), Value(unix.MOVE_MOUNT_F_EMPTY_PATH))
	how := OpenHow(unix.O_PATH|unix.O_CLOEXEC|unix.O_DIRECTORY, 0, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	dev := p.Call("open /dev", linux.SysOpenat2, root, String("dev"), how, Value(OpenHowSize))
	p.Call("make /dev/null", linux.SysMknodat, dev, String("null"), Value(unix.S_IFCHR|0o666), Value(unix.Mkdev(1, 3))).Allow(unix.EEXIST)
	p.Call("make /dev/shm", linux.SysMkdirat, dev, String("shm"), Value(0o1777))
	p.Call("link /dev/fd", linux.SysSymlinkat, String("/proc/self/fd"), dev, String("fd"))
	p.Call("own /dev/null", linux.SysFchownat, dev, String("null"), Value(0), Value(-1), Value(unix.AT_SYMLINK_NOFOLLOW))
	p.Call("log", linux.SysOpenat, dev, String("log"), Value(unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC), Value(0o640))
	p.Call("read", linux.SysOpenat, dev, String("null"), Value(unix.O_RDONLY|unix.O_CLOEXEC))

	fs := p.Call("open proc", linux.SysFsopen, String("proc"), Value(unix.FSOPEN_CLOEXEC))
	p.Call("choose hidepid", linux.SysFsconfig, fs, Value(unix.FSCONFIG_SET_STRING), String("hidepid"), String("2"))
	p.Call("make proc", linux.SysFsconfig, fs, Value(unix.FSCONFIG_CMD_CREATE))
	proc := p.Call("mount proc", linux.SysFsmount, fs, Value(unix.FSMOUNT_CLOEXEC), Value(unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC))
	p.Call("mount proc on /proc", linux.SysMoveMount, proc, none, root, String("proc"), Value(unix.MOVE_MOUNT_F_EMPTY_PATH))
	tree := p.Call("clone /proc/sys", linux.SysOpenTree, proc, String("sys"), Value(unix.OPEN_TREE_CLONE|unix.O_CLOEXEC|unix.AT_RECURSIVE))
	p.Call("make it read-only", linux.SysMountSetattr, tree, none, Value(unix.AT_EMPTY_PATH|unix.AT_RECURSIVE),
		MountAttr(unix.MOUNT_ATTR_RDONLY, unix.MOUNT_ATTR__ATIME, unix.MS_PRIVATE, p.FD("users")), Value(MountAttrSize))
	p.Call("swap roots", linux.SysPivotRoot, String("."), String("."))
	p.Call("drop the old root", linux.SysUmount2, String("."), Value(unix.MNT_DETACH))
	p.Call("standard output", linux.SysDup3, out, Value(1), Value(0))
	p.Call("take the terminal", linux.SysIoctl, Value(0), Value(unix.TIOCSCTTY), Value(0))

	p.Call("limit open files", linux.SysPrlimit64, Value(0), Value(unix.RLIMIT_NOFILE), Rlimit(1024, unix.RLIM_INFINITY), Value(0)).Allow(unix.EPERM)
	p.Call("personality", linux.SysPersonality, Value(0x0040000))
	p.Call("I/O priority", linux.SysIoprioSet, Value(1), Value(0), Value(2<<13|4))
	p.Call("session keyring", linux.SysKeyctl, Value(unix.KEYCTL_JOIN_SESSION_KEYRING), String("_ses.x"))
	p.Call("umask", linux.SysUmask, Value(0o22))

	p.Call("drop from the bounding set", linux.SysPrctl, Value(unix.PR_CAPBSET_DROP), Value(unix.CAP_SYS_ADMIN))
	p.Call("keep capabilities", linux.SysPrctl, Value(unix.PR_SET_KEEPCAPS), Value(1))
	p.Call("lock root's privileges", linux.SysPrctl, Value(unix.PR_SET_SECUREBITS), Value(0x3))
	p.Call("groups", linux.SysSetgroups, Value(2), Groups([]uint32{10, 20}))
	p.Call("group", linux.SysSetresgid, Value(-1), Value(20), Value(20))
	p.Call("user", linux.SysSetresuid, Value(1000), Value(1000), Value(1000))
	p.Call("capabilities", linux.SysCapset, CapHeader(), CapData(1<<unix.CAP_KILL|1<<unix.CAP_CHOWN, 1<<(unix.CAP_LAST_CAP+1)-1, 0))
	p.Call("clear the ambient set", linux.SysPrctl, Value(unix.PR_CAP_AMBIENT), Value(unix.PR_CAP_AMBIENT_CLEAR_ALL), Value(0), Value(0), Value(0))
	p.Call("raise", linux.SysPrctl, Value(unix.PR_CAP_AMBIENT), Value(unix.PR_CAP_AMBIENT_RAISE), Value(unix.CAP_KILL))
	p.Call("death signal", linux.SysPrctl, Value(unix.PR_SET_PDEATHSIG), Value(unix.SIGKILL))
	p.Call("no new privileges", linux.SysPrctl, Value(unix.PR_SET_NO_NEW_PRIVS), Value(1))
	p.Call("close the rest on execve", linux.SysCloseRange, Value(3), Value(-1), Value(unix.CLOSE_RANGE_CLOEXEC))
	p.Call("mark", linux.SysFcntl, out, Value(unix.F_SETFD), Value(unix.FD_CLOEXEC))
	p.Call("a name that is much longer than the column for names is wide", linux.SysGetpid)
	p.Call("seccomp", linux.SysSeccomp, Value(unix.SECCOMP_SET_MODE_FILTER), Value(unix.SECCOMP_FILTER_FLAG_LOG), Filter(make([]unix.SockFilter, 124)))

	child, pidfd := p.Label(), NewBuffer("pidfd", 4)
	pid := p.Clone("fork into the PID namespace", unix.CLONE_PARENT|unix.CLONE_PIDFD, 0, pidfd).On(child, 0)
	p.Tell("report the child", pid, pidfd.Int32(0))
	p.Call("leave it alone", linux.SysExitGroup, Value(0))
	p.Mark(child)
	p.Wait("wait for the hooks")
	p.Exec("run sh", []string{"/usr/bin/sh", "/bin/sh"}, Strings("sh", "-c", "echo \"hi\"\n"), Environ("PATH=/bin", "TOKEN=secret"))
	return p
}

func TestListing(t *testing.T) {
	p := everything()
	golden.Check(t, "testdata/everything.txt", p.String())
	if s := p.String(); strings.Contains(s, "secret") {
		t.Error("the listing shows the environment's values")
	}
	rest := New("infra")
	rest.Call("set the host name", linux.SysSethostname, String("web"), Value(3))
	rest.Rest()
	golden.Check(t, "testdata/infra.txt", rest.String())
}

// TestEncodesAlike encodes twice, as maps have no order, and for both architectures.
func TestEncodesAlike(t *testing.T) {
	for _, arch := range []linux.Arch{linux.AMD64, linux.ARM64} {
		first, err := everything().Encode(arch)
		if err != nil {
			t.Fatal(err)
		}
		m, err := decode(first)
		if err != nil {
			t.Fatal(err)
		}
		if m.arch != arch || m.control != controlSize(len(everything().Descriptors())) {
			t.Errorf("%s: decodes as %s with %d bytes of control data", arch, m.arch, m.control)
		}
		second, err := everything().Encode(arch)
		if err != nil || string(first) != string(second) {
			t.Errorf("%s: not the same bytes twice, %v", arch, err)
		}
		t.Logf("%s: %d bytes", arch, len(first))
	}
}

func TestEncodeErrors(t *testing.T) {
	other := New("other").Call("PID", linux.SysGetpid)
	for name, c := range map[string]struct {
		build func(p *Program)
		want  string
	}{
		"empty": {func(p *Program) {}, "program x: ends neither in execve, exit_group or a failure, nor at rest"},
		"open end": {func(p *Program) { p.Call("PID", linux.SysGetpid) },
			"program x: ends neither in execve, exit_group or a failure, nor at rest"},
		"execve that may fail": {func(p *Program) { p.Call("run", linux.SysExecve).Allow(unix.ENOENT) },
			"program x: ends neither in execve, exit_group or a failure, nor at rest"},
		"zero byte": {func(p *Program) { p.Call("run", linux.SysChdir, String("a\x00b")); p.Rest() },
			`program x: step 1, run: "a\x00b" has a zero byte in it`},
		"zero byte in a list": {func(p *Program) { p.Exec("run", []string{"/a"}, Strings("a", "b\x00"), Environ()) },
			`program x: step 1, run: "b\x00" has a zero byte in it`},
		"no call": {func(p *Program) { p.Call("run", 0); p.Rest() }, "program x: step 1, run: no such system call"},
		"seven arguments": {func(p *Program) {
			p.Call("run", linux.SysMmap, Value(1), Value(2), Value(3), Value(4), Value(5), Value(6), Value(7))
			p.Rest()
		}, "program x: step 1, run: has 7 arguments"},
		"another program's result": {func(p *Program) { p.Call("run", linux.SysClose, other); p.Rest() },
			"program x: step 1, run: uses a result that is not there yet"},
		"beyond a buffer": {func(p *Program) { p.Call("run", linux.SysClose, NewBuffer("b", 8).Int32(5)); p.Rest() },
			"program x: step 1, run: loads offset 5 of b, which has 8 bytes"},
		"label nowhere": {func(p *Program) { p.Call("run", linux.SysGetpid).On(p.Label(), 1); p.Rest() },
			"program x: step 1, run: goes to a label that stands nowhere"},
		"label behind": {func(p *Program) {
			l := p.Label()
			p.Mark(l)
			p.Call("run", linux.SysGetpid).On(l, 1)
			p.Rest()
		}, "program x: step 1, run: goes back to step 1"},
		"too large": {func(p *Program) { p.Call("run", linux.SysWrite, Bytes(make([]byte, 2<<20))); p.Rest() },
			"program x: takes 2097248 bytes of at most 1966080"},
		"too many rules": {func(p *Program) {
			r := p.Call("run", linux.SysGetpid)
			for i := range int32(256) {
				r.On(next, i)
			}
			p.Rest()
		}, "program x: step 1, run: too many rules"},
		"too many descriptors": {func(p *Program) {
			for i := range 63*perMessage + 253 {
				p.FD(itoa(i))
			}
			p.Rest()
		}, "program x: takes too many descriptors"},
	} {
		t.Run(name, func(t *testing.T) {
			p := New("x")
			c.build(p)
			if b, err := p.Encode(linux.AMD64); err == nil || err.Error() != c.want {
				t.Errorf("%d bytes, error %v\nwant %s", len(b), err, c.want)
			}
		})
	}
	p := New("x")
	p.Rest()
	if _, err := p.Encode("riscv64"); err == nil || err.Error() != `program x: no hull-init for architecture "riscv64"` {
		t.Errorf("another architecture: %v", err)
	}
}
