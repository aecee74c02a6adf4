package linux

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPidfd(t *testing.T) {
	cmd := exec.Command("/bin/cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f, err := PidfdOpen(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s, err := StateOfChild(cmd.Process.Pid); s != ChildAlive || err != nil {
		t.Errorf("state %v, %v", s, err)
	}
	if err := PidfdSignal(f, 0); err != nil {
		t.Error(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := PidfdWait(f); err != nil {
		t.Fatal(err)
	}
	if s, err := StateOfChild(cmd.Process.Pid); s != ChildZombie || err != nil {
		t.Errorf("state %v, %v", s, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if s, err := StateOfChild(cmd.Process.Pid); s != NotChild || err != nil {
		t.Errorf("state %v, %v", s, err)
	}
	if err := PidfdSignal(f, unix.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal to the dead: %v", err)
	}
	if _, err := PidfdOpen(cmd.Process.Pid); !errors.Is(err, unix.ESRCH) {
		t.Errorf("open of the dead: %v", err)
	}
}

func TestPidfdWaitEndsWithClose(t *testing.T) {
	f, err := PidfdOpen(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- PidfdWait(f) }()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// TestReap runs in a process of its own: it would reap what other tests wait for.
func TestReap(t *testing.T) {
	if os.Getenv("HULL_TEST_REAP") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestReap$")
		cmd.Env = append(os.Environ(), "HULL_TEST_REAP=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := SetSubreaper(); err != nil {
		t.Fatal(err)
	}
	// The child leaves an orphan, which becomes ours.
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "(exit 4) & (sh -c 'exit 6' &) ; exit 5"}, &syscall.ProcAttr{Env: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	codes := map[int]int{}
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil); err == unix.ECHILD {
			break
		}
		p, s, err := Reap()
		if err != nil {
			t.Fatal(err)
		}
		if p == pid && s.ExitStatus() != 5 {
			t.Errorf("child: %v", s)
		}
		codes[s.ExitStatus()]++
	}
	if codes[5] != 1 || codes[6] != 1 {
		t.Errorf("exit codes %v", codes)
	}
	if p, _, err := Reap(); p != 0 || err != nil {
		t.Errorf("nothing to reap: %d, %v", p, err)
	}
}
