package seccomp

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

func TestFaults(t *testing.T) {
	rule := func(s oci.LinuxSyscall) *oci.LinuxSeccomp {
		if s.Action == "" {
			s.Action = oci.ActAllow
		}
		if s.Names == nil {
			s.Names = []string{"read"}
		}
		return &oci.LinuxSeccomp{DefaultAction: oci.ActErrno, Syscalls: []oci.LinuxSyscall{s}}
	}
	arg := func(a oci.LinuxSeccompArg) *oci.LinuxSeccomp {
		return rule(oci.LinuxSyscall{Args: []oci.LinuxSeccompArg{a}})
	}
	for want, p := range map[string]*oci.LinuxSeccomp{
		`default action: unknown action ""`:                {},
		`default action: SCMP_ACT_ERRNO: errno 4096 is ab`: {DefaultAction: oci.ActErrno, DefaultErrnoRet: new(uint(4096))},
		`SCMP_ACT_TRACE: errno 65536 is above 65535`:       {DefaultAction: oci.ActTrace, DefaultErrnoRet: new(uint(65536))},
		`SCMP_ACT_NOTIFY cannot be the default action`:     {DefaultAction: oci.ActNotify},
		`unknown architecture "VAX"`:                       {DefaultAction: oci.ActAllow, Architectures: []oci.Arch{"VAX"}},
		`unknown flag "FAST"`:                              {DefaultAction: oci.ActAllow, Flags: []oci.LinuxSeccompFlag{"FAST"}},
		`_WAIT_KILLABLE_RECV without a rule that notifies`: {DefaultAction: oci.ActAllow, Flags: []oci.LinuxSeccompFlag{oci.SeccompFlagWaitKillableRecv}},
		`rule for ["read"]: unknown action "ACT"`:          rule(oci.LinuxSyscall{Action: "ACT"}),
		`SCMP_ACT_NOTIFY is not for sendmsg`:               rule(oci.LinuxSyscall{Action: oci.ActNotify, Names: []string{"sendmsg"}}),
		`rule for ["read"]: argument 6 is above 5`:         arg(oci.LinuxSeccompArg{Index: 6, Op: oci.OpEqualTo}),
		`rule for ["read"]: unknown operator "=="`:         arg(oci.LinuxSeccompArg{Op: "=="}),
	} {
		if _, _, err := Compile(p, "amd64"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if _, _, err := Compile(&oci.LinuxSeccomp{DefaultAction: oci.ActAllow}, "riscv64"); err == nil || !strings.Contains(err.Error(), "riscv64") {
		t.Errorf("riscv64: %v", err)
	}
}

func TestFlags(t *testing.T) {
	notify := []oci.LinuxSyscall{{Names: []string{"mknod"}, Action: oci.ActNotify}}
	for _, tt := range []struct {
		flags    []oci.LinuxSeccompFlag
		syscalls []oci.LinuxSyscall
		want     uint32
	}{
		{nil, nil, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW},
		{[]oci.LinuxSeccompFlag{}, nil, 0},
		{[]oci.LinuxSeccompFlag{oci.SeccompFlagLog, oci.SeccompFlagTSync}, nil, unix.SECCOMP_FILTER_FLAG_LOG},
		{[]oci.LinuxSeccompFlag{oci.SeccompFlagSpecAllow}, nil, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW},
		{[]oci.LinuxSeccompFlag{}, notify, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER},
		{[]oci.LinuxSeccompFlag{oci.SeccompFlagWaitKillableRecv}, notify, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
	} {
		_, got, err := Compile(&oci.LinuxSeccomp{DefaultAction: oci.ActAllow, Flags: tt.flags, Syscalls: tt.syscalls}, "amd64")
		if err != nil || got != tt.want {
			t.Errorf("%v: flags %#x, %v; want %#x", tt.flags, got, err, tt.want)
		}
	}
}

// TestDefaultProfileIsSmall keeps the tree a tree.
func TestDefaultProfileIsSmall(t *testing.T) {
	p := defaultProfile(t, func(*oci.Config) {})
	p.Architectures = []oci.Arch{oci.ArchX86_64, oci.ArchX86, oci.ArchX32}
	program, _, err := Compile(p, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	most := 0
	for nr := range uint32(500) {
		_, steps := run(t, program, data{nr: nr, arch: auditX86_64}.bytes())
		most = max(most, steps)
	}
	if len(program) > 350 || most > 20 {
		t.Errorf("%d instructions, %d on the longest way", len(program), most)
	}
	t.Logf("%d instructions, %d on the longest way", len(program), most)
}

// TestLongJumps makes a tree whose ends are further apart than a conditional jump reaches.
func TestLongJumps(t *testing.T) {
	p := &oci.LinuxSeccomp{DefaultAction: oci.ActErrno, Architectures: []oci.Arch{oci.ArchX86, oci.ArchX32}}
	x86 := tables()[oci.ArchX86_64].numbers
	for name, nr := range x86 {
		s := oci.LinuxSyscall{Names: []string{name}, Action: oci.ActTrace, ErrnoRet: new(uint(nr)), Args: []oci.LinuxSeccompArg{
			{Index: uint(nr % 6), Op: oci.OpMaskedEqual, Value: 0xff, ValueTwo: uint64(nr % 256)},
			{Index: uint(nr+1) % 6, Op: oci.OpEqualTo, Value: uint64(nr)},
		}}
		p.Syscalls = append(p.Syscalls, s)
	}
	slices.SortFunc(p.Syscalls, func(a, b oci.LinuxSyscall) int { return strings.Compare(a.Names[0], b.Names[0]) })
	program, _, err := Compile(p, "amd64")
	if err == nil {
		t.Fatalf("%d instructions are no error", len(program))
	}
	p.Architectures = nil
	if program, _, err = Compile(p, "amd64"); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d instructions", len(program))
	for _, nr := range x86 {
		d := data{nr: nr, arch: auditX86_64}
		d.args[nr%6], d.args[(nr+1)%6] = uint64(nr%256), uint64(nr)
		if got, _ := run(t, program, d.bytes()); got != retTrace|nr {
			t.Errorf("number %d: %#x", nr, got)
		}
		d.args[(nr+1)%6]++
		if got, _ := run(t, program, d.bytes()); got != retErrno|uint32(unix.EPERM) {
			t.Errorf("number %d with another argument: %#x", nr, got)
		}
	}
}

func TestCacheCompilesOnce(t *testing.T) {
	c := NewCache("amd64")
	p := defaultProfile(t, func(*oci.Config) {})
	first, flags, err := c.Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			again, otherFlags, err := c.Compile(defaultProfile(t, func(*oci.Config) {}))
			if err != nil || &again[0] != &first[0] || flags != otherFlags {
				t.Errorf("compiled again: %v", err)
			}
		})
	}
	group.Wait()
	for _, change := range []func(*oci.LinuxSeccomp){
		func(p *oci.LinuxSeccomp) { p.DefaultAction = oci.ActKill },
		func(p *oci.LinuxSeccomp) { p.DefaultErrnoRet = new(uint(0)) },
		func(p *oci.LinuxSeccomp) { p.Architectures = nil },
		func(p *oci.LinuxSeccomp) { p.Flags = []oci.LinuxSeccompFlag{} },
		func(p *oci.LinuxSeccomp) { p.Syscalls = p.Syscalls[1:] },
		func(p *oci.LinuxSeccomp) { p.Syscalls[0].Names = p.Syscalls[0].Names[1:] },
		func(p *oci.LinuxSeccomp) { p.Syscalls[0].ErrnoRet = new(uint(2)) },
		func(p *oci.LinuxSeccomp) { p.Syscalls[0].Args = []oci.LinuxSeccompArg{{Op: oci.OpEqualTo}} },
	} {
		other := defaultProfile(t, func(*oci.Config) {})
		change(other)
		if program, _, err := c.Compile(other); err != nil || &program[0] == &first[0] {
			t.Errorf("another profile has the same program (%v)", err)
		}
	}
	if _, _, err := c.Compile(&oci.LinuxSeccomp{}); err == nil {
		t.Error("a faulty profile is no error")
	}
	for i := range uint(2 * cacheLimit) {
		if _, _, err := c.Compile(&oci.LinuxSeccomp{DefaultAction: oci.ActTrace, DefaultErrnoRet: new(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.filter) > cacheLimit {
		t.Errorf("%d profiles kept", len(c.filter))
	}
}

func BenchmarkCompile(b *testing.B) {
	p := defaultProfile(b, func(*oci.Config) {})
	for b.Loop() {
		if _, _, err := Compile(p, "amd64"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCache(b *testing.B) {
	p := defaultProfile(b, func(*oci.Config) {})
	c := NewCache("amd64")
	for b.Loop() {
		if _, _, err := c.Compile(p); err != nil {
			b.Fatal(err)
		}
	}
}

const childEnv = "HULL_SECCOMP_TEST_CHILD"

// TestInKernel loads the default profile in a process of its own and makes the calls that it tells apart.
func TestInKernel(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		inKernel(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestInKernel$", "-test.count=1", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func inKernel(t *testing.T) {
	// The filter is this thread's alone: it never gets back to the scheduler.
	runtime.LockOSThread()
	program, flags, err := Compile(defaultProfile(t, func(*oci.Config) {}), runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	const setModeFilter = 1
	if _, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, setModeFilter, uintptr(flags), uintptr(unsafe.Pointer(&fprog))); errno != 0 {
		t.Fatalf("load the filter: %v", errno)
	}
	const notAnABI = 5000
	for _, tt := range []struct {
		name          string
		nr, arg, arg2 uintptr
		want          unix.Errno
	}{
		{"getpid", unix.SYS_GETPID, 0, 0, 0},
		{"mount", unix.SYS_MOUNT, 0, 0, unix.EPERM},
		{"unshare", unix.SYS_UNSHARE, 0, 0, unix.EPERM},
		{"clone3", unix.SYS_CLONE3, 0, 0, unix.ENOSYS},
		{"clone with a namespace", unix.SYS_CLONE, unix.CLONE_NEWNS, 0, unix.EPERM},
		{"personality to ask", unix.SYS_PERSONALITY, 0xffffffff, 0, 0},
		{"personality to set", unix.SYS_PERSONALITY, 0x1234, 0, unix.EPERM},
		{"socket of the kernel's ciphers", unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET, unix.EPERM},
		{"too new", notAnABI, 0, 0, unix.ENOSYS},
	} {
		if _, _, errno := unix.RawSyscall(tt.nr, tt.arg, tt.arg2, 0); errno != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, errno, tt.want)
		}
	}
}
