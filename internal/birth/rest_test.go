package birth

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
)

func proc(t *testing.T, pid int, file string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// atRest starts a program that does what build appends, and rests.
func atRest(t *testing.T, arch linux.Arch, attr *syscall.SysProcAttr, build func(p *Program)) *process {
	t.Helper()
	p := New("rest")
	if build != nil {
		build(p)
	}
	p.Rest()
	h := start(t, arch, attr)
	h.perform(p, nil)
	h.want(Resting)
	h.want(Executed) // that is, the end of file
	return h
}

func TestRestEndsOnSignals(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(unix.SignalName(s), func(t *testing.T) {
			onEach(t, func(t *testing.T, arch linux.Arch) {
				h := atRest(t, arch, nil, nil)
				if err := h.cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
				if got := h.status(); got != 0 {
					t.Errorf("status %d", got)
				}
			})
		})
	}
}

// TestRestIsSmall waits until the process sleeps in its last call, and looks at what it still has.
func TestRestIsSmall(t *testing.T) {
	h := atRest(t, linux.Native, nil, func(p *Program) {
		// A program that touched a good part of the region.
		p.Call("much", linux.SysWrite, p.Variable("none", -1), Bytes(make([]byte, 1<<20)), Value(1<<20)).Allow(unix.EBADF)
	})
	pid := h.cmd.Process.Pid
	number, _ := linux.SysRtSigtimedwait.Number(linux.Native)
	until(t, func() bool { return strings.HasPrefix(proc(t, pid, "syscall"), itoa(int(number))+" ") })

	var rss int
	for _, line := range lines(proc(t, pid, "status")) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			if _, err := fmt.Sscan(rest, &rss); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("resident: %d KiB", rss)
	if rss == 0 || rss > 16 {
		t.Errorf("a process at rest has %d KiB resident, want at most 16", rss)
	}
	if maps := proc(t, pid, "maps"); strings.Contains(maps, fmt.Sprintf("%08x-", regionBase)) {
		t.Errorf("the region is still there:\n%s", maps)
	}
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err != nil || len(fds) != 0 {
		t.Errorf("descriptors at rest: %v, %v", fds, err)
	}
}

// until spins: what it waits for comes at once, and there is no event for it.
func until(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to that")
		}
	}
}

// gone says whether a process has been reaped. Its PID would not do: it may be another's by now.
func gone(pidfd *os.File) bool {
	return errors.Is(unix.PidfdSendSignal(int(pidfd.Fd()), 0, nil, 0), unix.ESRCH)
}

// TestRestReaps has one child end before rest and one at rest, as the first process of a PID namespace and not.
func TestRestReaps(t *testing.T) {
	for name, flags := range map[string]uintptr{"PID 1": unix.CLONE_NEWPID, "other": 0} {
		t.Run(name, func(t *testing.T) {
			if flags != 0 {
				hulltest.NeedRoot(t)
			}
			p := New("parent")
			var pidfds [2]*Buffer
			for i := range pidfds {
				pidfds[i] = NewBuffer("pidfd"+itoa(i), 4)
				parent := p.Variable("parent", 1)
				child, after := p.Label(), p.Label()
				pid := p.Clone("fork", unix.CLONE_PIDFD, unix.SIGCHLD, pidfds[i]).On(child, 0)
				p.Tell("the child", pid, pidfds[i].Int32(0))
				p.Set("the parent goes on", parent, Value(1)).On(after, 1)
				p.Mark(child)
				if i == 1 {
					p.Wait("wait")
				}
				leave(p, 0)
				p.Mark(after)
				if i == 0 {
					p.Call("see it end, and leave it", linux.SysWaitid, Value(unix.P_PID), pid, Value(0), Value(unix.WEXITED|unix.WNOWAIT), Value(0))
				}
			}
			p.Rest()
			h := start(t, linux.Native, &syscall.SysProcAttr{Cloneflags: flags})
			h.perform(p, nil)
			var children [2]*os.File
			for i := range children {
				children[i] = h.want(Told).FDs[0]
				defer children[i].Close()
			}
			h.want(Resting)
			until(t, func() bool { return gone(children[0]) })
			if gone(children[1]) {
				t.Fatal("the second child has not waited")
			}
			if err := Continue(h.conn); err != nil {
				t.Fatal(err)
			}
			until(t, func() bool { return gone(children[1]) })
			if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if got := h.status(); got != 0 {
				t.Errorf("status %d", got)
			}
		})
	}
}

// TestRestUnderAFilter allows nothing but RestCalls.
func TestRestUnderAFilter(t *testing.T) {
	filter := func(calls []linux.Syscall) []unix.SockFilter {
		f := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the number
		for _, c := range calls {
			n, ok := c.Number(linux.Native)
			if !ok {
				t.Fatal(c)
			}
			f = append(f, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: n, Jf: 1},
				unix.SockFilter{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW})
		}
		return append(f, unix.SockFilter{Code: unix.BPF_RET, K: unix.SECCOMP_RET_KILL_PROCESS})
	}
	build := func(p *Program, calls []linux.Syscall) {
		p.Call("no new privileges", linux.SysPrctl, Value(unix.PR_SET_NO_NEW_PRIVS), Value(1))
		p.Call("filter", linux.SysSeccomp, Value(unix.SECCOMP_SET_MODE_FILTER), Value(0), Filter(filter(calls)))
	}
	h := atRest(t, linux.Native, nil, func(p *Program) { build(p, RestCalls()) })
	// Stopped and continued, it goes on.
	for _, s := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT, syscall.SIGCHLD, syscall.SIGTERM} {
		if err := h.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	if got := h.status(); got != 0 {
		t.Errorf("status %d, %v", got, h.cmd.ProcessState)
	}

	p := New("forbidden")
	build(p, RestCalls())
	p.Call("PID", linux.SysGetpid)
	p.Rest()
	h = start(t, linux.Native, nil)
	h.perform(p, nil)
	h.want(Executed)
	h.status()
	if got := h.cmd.ProcessState.String(); !strings.HasPrefix(got, "signal: bad system call") {
		t.Errorf("a call that the filter forbids: %s", got)
	}
}

// TestRestThatCannotWait ends when its filter answers an error instead, and does not spin.
func TestRestThatCannotWait(t *testing.T) {
	number, _ := linux.SysRtSigtimedwait.Number(linux.Native)
	h := atRest(t, linux.Native, nil, func(p *Program) {
		p.Call("no new privileges", linux.SysPrctl, Value(unix.PR_SET_NO_NEW_PRIVS), Value(1))
		p.Call("filter", linux.SysSeccomp, Value(unix.SECCOMP_SET_MODE_FILTER), Value(0), Filter([]unix.SockFilter{
			{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
			{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
			{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
			{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW},
		}))
	})
	if got := h.status(); got != 1 {
		t.Errorf("status %d", got)
	}
}

// TestRestAfterTheOtherSideDied ends: nobody knows of it.
func TestRestAfterTheOtherSideDied(t *testing.T) {
	onEach(t, func(t *testing.T, arch linux.Arch) {
		p := New("late")
		word := NewBuffer("word", 8)
		p.Call("wait for the end", linux.SysRead, Control(), word, Value(8))
		p.Rest()
		h := start(t, arch, nil)
		h.perform(p, nil)
		h.conn.Close()
		h.cmd.Wait()
		if s := h.cmd.ProcessState.String(); s != "signal: broken pipe" && s != "exit status 1" {
			t.Errorf("ended with %q", s)
		}
	})
}
