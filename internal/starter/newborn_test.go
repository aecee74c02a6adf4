package starter_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// newborn execs in a container, and looks at the process when it is seen there and has not run anything yet.
func newborn(t *testing.T, n *starter.Native, c oci.Config, look func(pid int) error) error {
	t.Helper()
	c.Args = []string{"sleep", "1000"}
	return newbornOf(t, n, spec(t, c), look)
}

func newbornOf(t *testing.T, n *starter.Native, s *oci.Spec, look func(pid int) error) error {
	t.Helper()
	in := running(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
	p, err := oci.ExecProcess(s, oci.Exec{Args: []string{"true"}})
	must(t, err)
	pidfd, err := linux.PidfdOpen(in.PID)
	must(t, err)
	defer func() { _ = pidfd.Close() }()
	child, err := n.Exec(withTimeout(t), starter.ExecRequest{
		Key: "e", Container: "c", PID: in.PID, PIDFD: pidfd, Spec: s, Process: p, Born: look,
	})
	if err == nil {
		reap(t, child)
	}
	reapStage(t)
	return err
}

// TestNewbornIsBound: who has CAP_SYS_PTRACE in a container, and takes over a process that is being born in it, has won nothing.
func TestNewbornIsBound(t *testing.T) {
	const sysAdmin = 1 << unix.CAP_SYS_ADMIN
	n := newNative(t)
	for name, c := range map[string]struct {
		config  oci.Config
		mode    string
		without []string // calls that the profile forbids, although the birth still needs them
		loads   bool     // it keeps the right to load what comes last
	}{
		"default profile":                   {config: oci.Config{AddCapabilities: []string{"SYS_PTRACE"}}, mode: "2"},
		"no new privileges":                 {config: oci.Config{NoNewPrivileges: true}, mode: "2"},
		"no profile":                        {config: oci.Config{Seccomp: oci.Seccomp{Kind: oci.SeccompUnconfined}}, mode: "0"},
		"profile that forbids what is left": {config: oci.Config{}, mode: "2", without: leftCalls, loads: true},
		"the same, no new privileges":       {config: oci.Config{NoNewPrivileges: true}, mode: "2", without: leftCalls},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Args = []string{"sleep", "1000"}
			s := spec(t, c.config)
			if c.without != nil {
				forbid(s, c.without...)
			}
			err := newbornOf(t, n, s, func(pid int) error {
				status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
				if err != nil {
					return err
				}
				var permitted uint64
				_, rest, _ := strings.Cut(string(status), "CapPrm:\t")
				if _, err := fmt.Sscanf(rest, "%x", &permitted); err != nil || (permitted&sysAdmin != 0) != c.loads {
					t.Errorf("permitted %#x, %v", permitted, err)
				}
				if !strings.Contains(string(status), "\nSeccomp:\t"+c.mode+"\n") {
					t.Errorf("seccomp is not %s:\n%s", c.mode, status)
				}
				return nil
			})
			must(t, err)
		})
	}
}

// TestNewbornStopped: a process that is stopped while it is being born, by another of its PID namespace, is not waited for forever.
func TestNewbornStopped(t *testing.T) {
	n := newNative(t)
	n.SetPatience(200 * time.Millisecond)
	var stopped int
	err := newborn(t, n, oci.Config{}, func(pid int) error {
		stopped = pid
		return unix.Kill(pid, unix.SIGSTOP)
	})
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := unix.Kill(stopped, 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("the process that was stopped: %v", err)
	}
}

// TestNewbornsSocketStolen: who takes a newborn's end of the conversation can end that start, and nothing else.
func TestNewbornsSocketStolen(t *testing.T) {
	n := newNative(t)
	steal := func(pid int) (int, error) {
		pidfd, err := linux.PidfdOpen(pid)
		if err != nil {
			return -1, err
		}
		defer func() { _ = pidfd.Close() }()
		return unix.PidfdGetfd(int(pidfd.Fd()), 3, 0)
	}
	self, err := linux.PidfdOpen(os.Getpid())
	must(t, err)
	defer func() { _ = self.Close() }()
	for name, c := range map[string]struct {
		value int32
		fds   []int
	}{
		"hooks":         {value: compile.TellMounted},
		"other hooks":   {value: compile.TellReady},
		"record":        {value: compile.TellRecord},
		"terminal":      {value: compile.TellConsole, fds: []int{0}},
		"another child": {value: int32(os.Getpid()), fds: []int{int(self.Fd())}},
		"unknown":       {value: -1000},
	} {
		t.Run(name, func(t *testing.T) {
			err := newborn(t, n, oci.Config{}, func(pid int) error {
				socket, err := steal(pid)
				if err != nil {
					return err
				}
				defer func() { _ = unix.Close(socket) }()
				msg := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32([]byte{3, 0, 0, 0}, uint32(c.value)), 0)
				return unix.Sendmsg(socket, msg, unix.UnixRights(c.fds...), nil, 0)
			})
			if err == nil || !strings.Contains(err.Error(), "which means nothing") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("held open", func(t *testing.T) {
		n.SetPatience(200 * time.Millisecond) // only here: what the others say must come in time
		socket := -1
		err := newborn(t, n, oci.Config{}, func(pid int) (err error) {
			socket, err = steal(pid)
			return err
		})
		_ = unix.Close(socket)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// TestEmptyRootIsNotShared: a container with CAP_SYS_ADMIN alone reaches nothing that another one sees, behind masks or below its root.
func TestEmptyRootIsNotShared(t *testing.T) {
	n := newNative(t)
	const write = `mount -o remount,bind,rw /sys/firmware; mount -o remount,rw,nr_inodes=100 /sys/firmware; echo x >/sys/firmware/planted && ls /sys/firmware`
	o := shell(t, n, busyboxRoot(t), oci.Config{AddCapabilities: []string{"SYS_ADMIN"}}, write)
	expect(t, o, "planted\n") // it may do so, for itself
	expect(t, shell(t, n, busyboxRoot(t), oci.Config{}, "ls /sys/firmware"), "")
	expect(t, shell(t, n, busyboxRoot(t), oci.Config{AddCapabilities: []string{"SYS_ADMIN"}}, "ls /sys/firmware"), "")
}

// leftCalls are calls of a birth after its fork.
var leftCalls = []string{"clone", "sendmsg", "setsid", "exit_group"}

// forbid takes calls out of a spec's profile.
func forbid(s *oci.Spec, calls ...string) {
	p := *s.Linux.Seccomp
	p.Syscalls = nil
	for _, rule := range s.Linux.Seccomp.Syscalls {
		rule.Names = slices.DeleteFunc(slices.Clone(rule.Names), func(name string) bool { return slices.Contains(calls, name) })
		if len(rule.Names) > 0 {
			p.Syscalls = append(p.Syscalls, rule)
		}
	}
	s.Linux.Seccomp = &p
}

// TestProfileForbidsWhatIsLeft: a profile without the calls of a birth is loaded after them.
func TestProfileForbidsWhatIsLeft(t *testing.T) {
	n := newNative(t)
	for _, call := range leftCalls {
		s := spec(t, oci.Config{Args: []string{"sleep", "1000"}})
		forbid(s, call)
		c := running(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
		if _, err := execIn(t, n, c, s, oci.Exec{Args: []string{"true"}}, nil); err != nil {
			t.Errorf("without %s: %v", call, err)
		}
	}
}
