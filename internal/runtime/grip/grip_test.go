package grip

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

func TestNothingHeld(t *testing.T) {
	var g Grip
	if err := g.Signal(unix.SIGKILL); err != nil {
		t.Error(err)
	}
	if f, err := g.Process(); f != nil || err != nil {
		t.Errorf("%v, %v", f, err)
	}
	if err := g.LetGo(); err != nil {
		t.Error(err)
	}
}

func TestProcess(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fd, err := linux.PidfdOpen(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	var g Grip
	g.TakeProcess(fd)
	own, err := g.Process()
	if err != nil || own == nil {
		t.Fatalf("%v, %v", own, err)
	}
	if err := g.Signal(unix.SIGTERM); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if !linux.PidfdEnded(int(own.Fd())) {
		t.Error("the duplicate is of another process")
	}
	if err := g.Signal(unix.SIGTERM); err != nil {
		t.Errorf("a signal to a process that has ended: %v", err)
	}
	if err := g.LetGo(); err != nil || g.HoldsProcess() {
		t.Errorf("%v, holds %t", err, g.HoldsProcess())
	}
	if err := own.Close(); err != nil {
		t.Errorf("the duplicate went too: %v", err)
	}
}

func TestStdin(t *testing.T) {
	theirs, ours, err := streams.Pipe(false)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	var g Grip
	g.TakeStdin(ours)
	if _, stdin := g.Streams(); stdin != ours {
		t.Errorf("stdin is %v", stdin)
	}
	for range 2 {
		if err := g.CloseStdin(); err != nil {
			t.Error(err)
		}
	}
	if n, err := theirs.Read(make([]byte, 1)); n != 0 || err == nil || os.IsTimeout(err) {
		t.Errorf("the container's end reads %d, %v", n, err)
	}
}
