package logs

import (
	"bufio"
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
)

const (
	roleLog   = "-logger"
	rolePrint = "-printer"
)

// logger is the daemon that is killed: it writes the log of the pipes from descriptor 3 on to its end.
// Arguments: path, record, failpoints, how far to go before dying (0: not), tty.
func logger(args []string) int {
	if err := logAll(args); err != nil {
		fmt.Fprintln(os.Stderr, "logger:", err)
		return 1
	}
	return 0
}

func logAll(args []string) error {
	if err := failpoint.Set(args[2]); err != nil {
		return err
	}
	far, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	c, err := NewCollector(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	if far > 0 {
		go func() { // anywhere: beside the writing, after some work of its own
			for range far {
				_, _ = unix.Getpgid(0)
			}
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		}()
	}
	var ends []*os.File
	for fd := range uintptr(Ends(args[4] == "tty")) {
		syscall.CloseOnExec(int(3 + fd))
		ends = append(ends, os.NewFile(3+fd, "end"))
	}
	w, err := c.Open(Config{Path: args[0], State: args[1], TTY: args[4] == "tty", MaxSize: 100 << 10, MaxFiles: 1000}, ends)
	if err != nil {
		return err
	}
	if err := w.Wait(context.Background()); err != nil {
		return err
	}
	return c.Close()
}

// printer is the container: numbered lines of all lengths, to both streams, some long, and an end without newline.
func printer(args []string) int {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return 1
	}
	outs := []*bufio.Writer{bufio.NewWriter(os.Stdout), bufio.NewWriter(os.Stderr)}
	for i := range n {
		out := outs[i%7%2]
		_, err := out.WriteString(numbered(i))
		if err == nil && i%5 != 0 { // one write for one to five lines
			err = out.Flush()
		}
		if err != nil {
			return 1
		}
	}
	for _, out := range outs {
		if _, err := out.WriteString("the end"); err != nil || out.Flush() != nil {
			return 1
		}
	}
	return 0
}

// numbered is the i-th line. Its length follows from its number.
func numbered(i int) string {
	h := fnv.New32()
	fmt.Fprint(h, i)
	length := int(h.Sum32() % 120)
	if i%500 == 499 {
		length = 20000 + i%20000
	}
	return fmt.Sprintf("%06d %s.\n", i, strings.Repeat("x", length))
}

// wantNumbered checks that every line is there, once, in order and whole.
func wantNumbered(t *testing.T, ls []Line, n int) {
	t.Helper()
	want := map[Stream]*strings.Builder{Stdout: {}, Stderr: {}}
	for i := range n {
		want[[]Stream{Stdout, Stderr}[i%7%2]].WriteString(numbered(i))
	}
	for s, w := range want {
		w.WriteString("the end")
		if got := text(ls, s); got != w.String() {
			t.Errorf("%s: %s", s, firstDifference(got, w.String()))
		}
	}
	for _, l := range ls { // short lines are never in parts
		if l.Partial && len(l.Text) != chunk && string(l.Text) != "the end" {
			t.Errorf("a part of %d bytes: %.40q", len(l.Text), l.Text)
		}
	}
}

func firstDifference(got, want string) string {
	g, w := strings.SplitAfter(got, "\n"), strings.SplitAfter(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d is %.60q, want %.60q", i, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// life starts a logger on the pipes and returns whether it came to the end of the streams, or was killed.
func life(t *testing.T, cfg Config, ends []*os.File, points string, far int, tty string) bool {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, roleLog, cfg.Path, cfg.State, points, strconv.Itoa(far), tty)
	cmd.ExtraFiles = ends
	var stderr strings.Builder
	cmd.Stderr = &stderr
	err = cmd.Run()
	if err == nil {
		return true
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != unix.SIGKILL {
		t.Fatalf("logger: %v\n%s", err, stderr.String())
	}
	return false
}

func startPrinter(t *testing.T, n int, stdout, stderr *os.File) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, rolePrint, strconv.Itoa(n))
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

var points = []string{"logs.noted", "logs.filled", "logs.write", "logs.written", "logs.marked", "logs.drained", "logs.cleared",
	"logs.rotate", "logs.rotated", "logs.compress"}

func TestEveryFailpointIsTested(t *testing.T) {
	for _, name := range failpoint.All() {
		if strings.HasPrefix(name, "logs.") && !strings.Contains(strings.Join(points, " "), name) {
			t.Errorf("%s is not", name)
		}
	}
}

// TestKilledAtEveryStep kills the daemon at each failpoint, and at random, while a container prints; the lines are all there
// once.
func TestKilledAtEveryStep(t *testing.T) {
	const n = 100000
	p, err := NewPipes(false)
	if err != nil {
		t.Fatal(err)
	}
	cfg := newConfig(t)
	cmd := startPrinter(t, n, p.Stdout, p.Stderr)
	if err := p.CloseTheirs(); err != nil {
		t.Fatal(err)
	}
	kills := killUntilEnd(t, cfg, p.Ends, "pipes")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	wantNumbered(t, lines(t, cfg.Path), n)
	t.Logf("%d lines, %d kills", n, kills)
	if kills < 2*len(points) {
		t.Errorf("only %d kills", kills)
	}
	if err := p.CloseOurs(); err != nil {
		t.Error(err)
	}
}

// killUntilEnd lets loggers live and die until one reaches the end of the streams.
func killUntilEnd(t *testing.T, cfg Config, ends []*os.File, kind string) (kills int) {
	t.Helper()
	for ; ; kills++ {
		point, far := "", 0
		if kills%3 == 2 {
			far = 1 + rand.IntN(20000)
		} else {
			point = fmt.Sprintf("%s=kill@%d", points[kills%len(points)], 1+rand.IntN(4))
		}
		if life(t, cfg, ends, point, far, kind) {
			return kills
		}
	}
}

func TestTerminalKilledAtEveryStep(t *testing.T) {
	const n = 3000
	p, err := NewPipes(true)
	if err != nil {
		t.Fatal(err)
	}
	master, slave := pty(t)
	cfg := newConfig(t)
	cmd := startPrinter(t, n, slave, slave)
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	// The last logger waits for its terminal's end, which it believes because its caller says that the process is gone.
	kills := killUntilEnd(t, cfg, append(p.Ends, master), "tty")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(text(lines(t, cfg.Path), Stdout), "\r\n", "\n")
	t.Logf("%d lines, %d kills", n, kills)
	checkTerminal(t, got, n)
	if err := closeFiles(append(p.Ends, master)...); err != nil {
		t.Error(err)
	}
}

// checkTerminal compares without the order of the two streams, which print to one terminal.
func checkTerminal(t *testing.T, got string, n int) {
	t.Helper()
	var want strings.Builder
	outs := []*strings.Builder{{}, {}}
	for i := range n {
		outs[i%7%2].WriteString(numbered(i))
		if i%5 != 0 {
			want.WriteString(outs[i%7%2].String())
			outs[i%7%2].Reset()
		}
	}
	want.WriteString(outs[0].String() + "the end" + outs[1].String() + "the end")
	if got != want.String() {
		t.Error(firstDifference(got, want.String()))
	}
}
