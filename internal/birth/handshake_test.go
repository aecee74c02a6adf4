package birth

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
	"github.com/hull-pods/hull/internal/linux"
)

// TestTellAndWait sends a pipe's end back, and waits until it has been written to.
func TestTellAndWait(t *testing.T) {
	onEach(t, func(t *testing.T, arch linux.Arch) {
		p := New("talk")
		ends := NewBuffer("ends", 8)
		p.Call("pipe", linux.SysPipe2, ends, Value(unix.O_CLOEXEC))
		pid := p.Call("PID", linux.SysGetpid)
		p.Tell("report", pid, ends.Int32(4), p.FD("mine"))
		p.Wait("wait for the writer")
		word := NewBuffer("word", 8)
		n := p.Call("read", linux.SysRead, ends.Int32(0), word, Value(8))
		p.Call("write", linux.SysWrite, p.FD("mine"), word, n)
		leave(p, 0)

		h := start(t, arch, nil)
		r, w := pipe(t)
		h.perform(p, map[string]*os.File{"mine": w})
		e := h.want(Told)
		if int(e.Value) != h.cmd.Process.Pid || len(e.FDs) != 2 {
			t.Fatalf("told %+v, want PID %d and two descriptors", e, h.cmd.Process.Pid)
		}
		for _, f := range e.FDs {
			defer f.Close()
		}
		fmt.Fprint(e.FDs[0], "ping")
		fmt.Fprint(e.FDs[1], "pong ")
		if err := Continue(h.conn); err != nil {
			t.Fatal(err)
		}
		h.ends(0)
		e.FDs[1].Close()
		if got := all(t, r, w); got != "pong ping" {
			t.Errorf("wrote %q", got)
		}
	})
}

func TestWaitEndsWithTheOtherSide(t *testing.T) {
	onEach(t, func(t *testing.T, arch linux.Arch) {
		p := New("wait")
		p.Wait("wait")
		leave(p, 0)
		h := start(t, arch, nil)
		h.perform(p, nil)
		h.conn.Close()
		// Its report meets a closed socket.
		h.cmd.Wait()
		if s := h.cmd.ProcessState.String(); s != "signal: broken pipe" && s != "exit status 1" {
			t.Errorf("ended with %q", s)
		}
	})
}

// TestClone goes on as two processes.
func TestClone(t *testing.T) {
	onEach(t, func(t *testing.T, arch linux.Arch) {
		if arch != linux.Native {
			t.Skip("qemu-user has no pidfd of a clone")
		}
		p := New("two")
		child, pidfd := p.Label(), NewBuffer("pidfd", 4)
		pid := p.Clone("fork", unix.CLONE_PIDFD, unix.SIGCHLD, pidfd).On(child, 0)
		p.Tell("the child", pid, pidfd.Int32(0))
		status := NewBuffer("status", 4)
		p.Call("wait for it", linux.SysWait4, pid, status, Value(0), Value(0))
		p.Call("as it ended", linux.SysExitGroup, status.Int32(0))
		p.Mark(child)
		p.Wait("wait")
		leave(p, 3)
		h := start(t, arch, nil)
		h.perform(p, nil)
		e := h.want(Told)
		if e.Value <= 1 || len(e.FDs) != 1 {
			t.Fatalf("told %+v", e)
		}
		defer e.FDs[0].Close()
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", e.FDs[0].Fd()))
		if want := fmt.Sprintf("Pid:\t%d\n", e.Value); err != nil || !bytes.Contains(info, []byte(want)) {
			t.Errorf("the descriptor is not that of process %d: %v\n%s", e.Value, err, info)
		}
		if err := Continue(h.conn); err != nil {
			t.Fatal(err)
		}
		// The wait status 0x300 has its low byte, 0, as exit status.
		h.ends(0)
	})
}

// TestAwait has reports of every kind, good and bad, without a process.
func TestAwait(t *testing.T) {
	word := func(n ...uint32) []byte {
		var b []byte
		for _, v := range n {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return b
	}
	for name, c := range map[string]struct {
		early error // before the message
		msg   []byte
		fds   []*os.File
		err   error
		want  Event
		text  string // of the error
	}{
		"executed":                  {err: io.EOF, want: Event{State: Executed}},
		"resting":                   {msg: word(resting, 0, 0), want: Event{State: Resting}},
		"told":                      {msg: word(told, 1<<32-5, 0), want: Event{State: Told, Value: -5}},
		"failed":                    {msg: word(failed, 7, uint32(unix.EPERM)), text: "step 7: operation not permitted"},
		"refused":                   {msg: word(failed, 0, uint32(unix.EINVAL)), text: "hull-init refused its program"},
		"short":                     {msg: word(resting, 0), text: "wait for the new process: a report of 8 bytes that means nothing"},
		"unknown":                   {msg: word(9, 0, 0), text: "wait for the new process: a report of 12 bytes that means nothing"},
		"a failure with descriptor": {msg: word(failed, 1, 1), fds: []*os.File{nil}, text: "wait for the new process: a report of 12 bytes that means nothing"},
		"resting after all":         {early: io.EOF, msg: word(resting, 0, 0), want: Event{State: Resting}},
		"failed, then reset":        {early: unix.ECONNRESET, msg: word(failed, 7, uint32(unix.EPERM)), text: "step 7: operation not permitted"},
		"error":                     {err: unix.ENOMEM, text: "wait for the new process: cannot allocate memory"},
		"reset":                     {early: unix.ECONNRESET, err: io.EOF, text: "wait for the new process: it ended before it had read its program: connection reset by peer"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Await(&scripted{c.early, c.msg, c.fds, c.err})
			if c.text != "" {
				if err == nil || err.Error() != c.text {
					t.Errorf("error %v, want %q", err, c.text)
				}
				return
			}
			if err != nil || e.State != c.want.State || e.Value != c.want.Value {
				t.Errorf("%+v, %v; want %+v", e, err, c.want)
			}
		})
	}
}

// scripted receives one thing, after an error if there is one, and then the end.
type scripted struct {
	early error
	msg   []byte
	fds   []*os.File
	err   error
}

func (s *scripted) Send([]byte, ...*os.File) error { return s.err }

func (s *scripted) Recv(int) ([]byte, []*os.File, error) {
	if err := s.early; err != nil {
		s.early = nil
		return nil, nil, err
	}
	msg, fds, err := s.msg, s.fds, s.err
	*s = scripted{err: io.EOF}
	return msg, fds, err
}

func TestSendErrors(t *testing.T) {
	p := New("x")
	p.FD("one")
	p.Rest()
	b, err := p.Encode(linux.AMD64)
	if err != nil {
		t.Fatal(err)
	}
	one := []*os.File{nil}
	for _, c := range []struct {
		b    []byte
		fds  []*os.File
		conn scripted
		want string
	}{
		{nil, nil, scripted{}, "send birth program: not one"},
		{b, nil, scripted{}, "send birth program: 0 descriptors are not what it was encoded for"},
		{b, append(one, nil, nil, nil), scripted{}, "send birth program: 4 descriptors are not what it was encoded for"},
		{b, one, scripted{err: unix.EPIPE}, "send birth program: broken pipe"},
	} {
		if err := Send(&c.conn, c.b, c.fds); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// TestOverFdconn speaks through the connection that hulld has, to a program of many messages and to one that is refused.
func TestOverFdconn(t *testing.T) {
	f, err := Memfd()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p := New("big")
	var fds []*os.File
	for i := range 600 {
		p.FD(itoa(i))
		fds = append(fds, null)
	}
	p.Call("look", linux.SysFcntl, p.FD("599"), Value(unix.F_GETFD), Bytes(make([]byte, 1<<20)))
	leave(p, 0)
	good, err := p.Encode(linux.Native)
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(good)
	bad[3]++ // another version, seen in the first of many messages
	for name, c := range map[string]struct {
		image   []byte
		refused bool
	}{"good": {good, false}, "refused": {bad, true}} {
		t.Run(name, func(t *testing.T) {
			ours, theirs, err := fdconn.Pair()
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close()
			if err := ours.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			cmd := &exec.Cmd{Path: path(f), Args: []string{"hull-init"}, ExtraFiles: []*os.File{theirs}}
			err = cmd.Start()
			theirs.Close()
			if err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			sent := Send(ours, c.image, fds)
			e, err := Await(ours)
			var fail *Failure
			switch {
			case !c.refused && (sent != nil || err != nil || e.State != Executed):
				t.Errorf("send: %v; await: %+v, %v", sent, e, err)
			case c.refused && (!errors.As(err, &fail) || fail.Step != refused):
				t.Errorf("send: %v; await: %+v, %v; want it refused", sent, e, err)
			}
		})
	}
}

// BenchmarkBirth is from the clone to the execve's place, a program of 50 calls between them.
func BenchmarkBirth(b *testing.B) {
	f, err := Memfd()
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	p := New("bench")
	for range 50 {
		p.Call("PID", linux.SysGetppid)
	}
	leave(p, 0)
	image, err := p.Encode(linux.Native)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		ours, theirs, err := fdconn.Pair()
		if err != nil {
			b.Fatal(err)
		}
		cmd := &exec.Cmd{Path: path(f), Args: []string{"hull-init"}, ExtraFiles: []*os.File{theirs}}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		theirs.Close()
		if err := Send(ours, image, nil); err != nil {
			b.Fatal(err)
		}
		if _, err := Await(ours); err != nil {
			b.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			b.Fatal(err)
		}
		ours.Close()
	}
}

// BenchmarkEncode is of a program as large as a container's.
func BenchmarkEncode(b *testing.B) {
	for b.Loop() {
		if _, err := everything().Encode(linux.Native); err != nil {
			b.Fatal(err)
		}
	}
}
