package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/hulltest/live"
)

// screen is a terminal with a command on it.
type screen struct {
	t    testing.TB
	pty  *os.File
	cmd  *exec.Cmd
	seen strings.Builder
	past int // what until has found already
}

// onTerminal starts a command line with a terminal of so many columns as its input and output.
func onTerminal(t testing.TB, cmd *exec.Cmd, columns uint16) *screen {
	t.Helper()
	pty, tty := hulltest.Terminal(t, columns)
	s := &screen{t: t, pty: pty, cmd: cmd}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	// Its end is the end of every read.
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop() })
	return s
}

func (s *screen) typed(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.pty, text); err != nil {
		s.t.Fatal(err)
	}
}

// until reads until the text has appeared, after what was found before.
func (s *screen) until(text string) {
	s.t.Helper()
	buf := make([]byte, 4096)
	for {
		if i := strings.Index(s.seen.String()[s.past:], text); i >= 0 {
			s.past += i + len(text)
			return
		}
		n, err := s.pty.Read(buf)
		s.seen.Write(buf[:n])
		if err != nil {
			s.t.Fatalf("the screen never shows %q (%v); it shows\n%q", text, err, s.seen.String())
		}
	}
}

// end waits for the command's end and returns its exit code. What it wrote is in seen.
func (s *screen) end() int {
	buf := make([]byte, 4096)
	for {
		n, err := s.pty.Read(buf)
		s.seen.Write(buf[:n])
		if err != nil {
			break // EIO: nobody has the terminal any more
		}
	}
	_ = s.cmd.Wait() // the code says it
	return s.cmd.ProcessState.ExitCode()
}

// hasColumns looks from the host at the terminal that a Pod's process has, until it is as wide as wanted: of its changes nobody
// but the processes on it is told.
func hasColumns(t *testing.T, h *live.Hull, pod string, want uint16) {
	t.Helper()
	deadline := time.Now().Add(patience)
	in := inspect(t, h, pod)
	var last []uint16
	for time.Now().Before(deadline) {
		last = nil
		for pid := range programs(t, in) {
			tty, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/0", pid), os.O_RDWR|unix.O_NOCTTY, 0)
			if err != nil {
				continue
			}
			size, err := unix.IoctlGetWinsize(int(tty.Fd()), unix.TIOCGWINSZ)
			_ = tty.Close()
			if err == nil {
				last = append(last, size.Col)
			}
		}
		if slices.Contains(last, want) {
			return
		}
	}
	t.Fatalf("terminals in pod %s have %d columns, want %d", pod, last, want)
}

func TestTerminal(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	t.Run("exec", func(t *testing.T) {
		if r := h.RunInput(toolbox("term", forever), "run", "-d", "-"); r.Code != 0 {
			t.Fatalf("%+v", r)
		}
		s := onTerminal(t, h.Command("exec", "-it", "term", "--", "sh", "-c", "tty; read line; echo got $line; exec sleep 1000"), 97)
		s.until("/dev/pts/0\r\n")
		hasColumns(t, h, "term", 97)
		hulltest.Resize(t, s.pty, 61)
		hasColumns(t, h, "term", 61)
		s.typed("hello\r")
		s.until("got hello\r\n")
		// Ctrl-C is the command's, not ours.
		s.typed("\x03")
		if code := s.end(); code != 130 || !strings.Contains(s.seen.String(), "command terminated with exit code 130") {
			t.Errorf("exit code %d, want 130\n%q", code, s.seen.String())
		}
		h.Must("delete", "pod", "term")
	})
	t.Run("bars", func(t *testing.T) {
		image := push(t, newRegistry(t, nil), 30_000_000)
		s := onTerminal(t, h.Command("image", "pull", image), 100)
		if code := s.end(); code != 0 {
			t.Fatalf("exit code %d\n%s", code, s.seen.String())
		}
		if got := s.seen.String(); !strings.Contains(got, "pulling "+image) || !strings.Contains(got, "Done") || !strings.Contains(got, "28.6 MiB") {
			t.Errorf("the screen shows %q", got)
		}
		h.Must("image", "rm", image)
	})
	nothingRemains(t, h)
}

// started is a hull command that runs, with its standard output line by line.
type started struct {
	t     testing.TB
	cmd   *exec.Cmd
	lines *bufio.Scanner
	errs  strings.Builder
	rest  []string // the lines after the interruption
}

func background(t testing.TB, cmd *exec.Cmd) *started {
	t.Helper()
	s := &started{t: t, cmd: cmd}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = &s.errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.lines = bufio.NewScanner(out)
	return s
}

// line reads up to the line that has the text, and returns it.
func (s *started) line(text string) string {
	s.t.Helper()
	for s.lines.Scan() {
		if strings.Contains(s.lines.Text(), text) {
			return s.lines.Text()
		}
	}
	s.t.Fatalf("there is no line with %q: %v", text, s.lines.Err())
	return ""
}

// interrupt is Ctrl-C; it returns the exit code.
func (s *started) interrupt() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	for s.lines.Scan() {
		s.rest = append(s.rest, s.lines.Text())
	}
	_ = s.cmd.Wait() // the code says it
	return s.cmd.ProcessState.ExitCode()
}

func TestInterrupt(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	pods := toolbox("one", `["sh", "-c", "trap 'echo -n last words; exit' TERM; echo up; sleep infinity & wait"]`) + "---\n" + toolbox("two", `["sh", "-c", "echo up; sleep infinity"]`)

	watch := background(t, h.Command("get", "pods", "-w"))
	run := h.Command("run", "-")
	run.Stdin = strings.NewReader(pods)
	r := background(t, run)
	first := r.line("] up")
	second := r.line("] up")
	if got := first + second; got != "[one/main] up[two/main] up" && got != "[two/main] up[one/main] up" {
		t.Errorf("the output is %q and %q", first, second)
	}
	session := background(t, h.Command("exec", "two", "--", "sh", "-c", "echo in; sleep infinity"))
	session.line("in")
	if code := session.interrupt(); code != 130 || session.errs.Len() > 0 {
		t.Errorf("hull exec, interrupted: exit code %d, %q", code, session.errs.String())
	}
	follow := background(t, h.Command("logs", "-f", "one"))
	follow.line("up")
	if got := strings.Fields(watch.line("Running")); len(got) < 5 || got[1] != "1/1" || got[3] != "0" {
		t.Errorf("hull get pods -w prints %q", got)
	}
	if code := r.interrupt(); code != 130 {
		t.Errorf("hull run, interrupted: exit code %d, want 130", code)
	}
	if !slices.Contains(r.rest, "[one/main] last words") {
		t.Errorf("hull run, interrupted, still prints %q", r.rest)
	}
	for _, pod := range []string{"one", "two"} {
		if !strings.Contains(r.errs.String(), "pod/"+pod+": removing\n") {
			t.Errorf("hull run says %q", r.errs.String())
		}
		refused(t, h, 1, "not found", "", "get", "pod", pod)
	}
	watch.line("Terminating")
	if code := watch.interrupt(); code != 0 {
		t.Errorf("hull get -w, interrupted: exit code %d", code)
	}
	_ = follow.cmd.Wait() // it ends with the container
	if code := follow.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("hull logs -f of a Pod that was removed: exit code %d, %q", code, follow.errs.String())
	}
	nothingRemains(t, h)
}

// TestInterruptAgain asks a second and a third time while a Pod that ignores SIGTERM has all the time in the world.
func TestInterruptAgain(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	stubborn := filepath.Join(t.TempDir(), "stubborn.yaml")
	text := strings.Replace(toolbox("stubborn", `["sh", "-c", "trap '' TERM; echo up; while :; do sleep 1000; done"]`),
		"terminationGracePeriodSeconds: 1\n", "terminationGracePeriodSeconds: 1000\n", 1)
	if err := os.WriteFile(stubborn, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func() *screen {
		s := onTerminal(t, h.Command("run", stubborn), 100)
		s.until("] up")
		s.typed("\x03")
		s.until("pod/stubborn: removing\r\n")
		s.until("Ctrl-C again kills at once\r\n")
		return s
	}
	s := run()
	s.typed("\x03")
	s.until("pod/stubborn: killing (grace period 0)\r\n")
	if code := s.end(); code != 130 {
		t.Errorf("interrupted twice: exit code %d, want 130\n%s", code, s.seen.String())
	}
	refused(t, h, 1, "not found", "", "get", "pod", "stubborn")

	s = run()
	pid := h.Daemon()
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	goOn := func() { _ = unix.Kill(pid, unix.SIGCONT) }
	defer goOn()
	s.typed("\x03")
	s.until("killing (grace period 0)\r\n")
	s.typed("\x03")
	s.until("not waiting")
	if code := s.end(); code != 130 {
		t.Errorf("interrupted three times: exit code %d, want 130\n%s", code, s.seen.String())
	}
	goOn()
	h.Must("delete", "pod", "stubborn", "--grace-period=0", "--force", "--ignore-not-found")
	nothingRemains(t, h)
}
