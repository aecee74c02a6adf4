package starter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// inside runs hooks in the container's namespaces, one after the other.
func (h *hookRun) inside(ctx context.Context, what string, hooks []oci.Hook, state oci.State) error {
	if len(hooks) == 0 {
		return nil
	}
	target, err := linux.PidfdOpen(state.Pid)
	if err != nil {
		return fmt.Errorf("%s hooks: %w", what, err)
	}
	defer func() { _ = target.Close() }()
	if state.Pid, err = h.n.innerPID(state.Pid); err != nil {
		return fmt.Errorf("%s hooks: %w", what, err)
	}
	input, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("%s hooks: %w", what, err)
	}
	for i, hook := range hooks {
		output, err := h.one(ctx, hook, target, input)
		if err != nil {
			return hookError(fmt.Sprintf("%s hook %d", what, i+1), hook, err, output)
		}
	}
	return nil
}

// innerPID is a process' PID as its own PID namespace has it.
func (n *Native) innerPID(pid int) (int, error) {
	data, err := n.readProc(strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if pids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			all := strings.Fields(pids)
			return strconv.Atoi(all[len(all)-1])
		}
	}
	return pid, nil
}

func (h *hookRun) one(ctx context.Context, hook oci.Hook, target *os.File, input []byte) (output []byte, err error) {
	if hook.Timeout != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(*hook.Timeout)*time.Second)
		defer cancel()
	}
	stdin, err := inputFile(input)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stdin.Close() }()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer func() { _ = read.Close() }()
	d := h.n.delivery("run hook " + hook.Path)
	defer d.end(&err)
	d.children = true
	d.clone(bare, order{name: "hull-init"})
	d.add(compile.FDContainer, target)
	f := compile.Facts{}
	if err := d.stdio(&f, 0, stdin, write, write); err != nil {
		_ = write.Close()
		return nil, err
	}
	b, err := compile.Hook(h.r.Spec, hook, f)
	if err != nil {
		_ = write.Close()
		return nil, err
	}
	p, err := d.run(ctx, b, &oci.Process{Args: []string{hook.Path}})
	_ = write.Close()
	if err != nil {
		return nil, err
	}
	return waitHook(ctx, p, read)
}

// waitHook reads what a hook writes and waits for its end. It is a child of ours.
func waitHook(ctx context.Context, p *Process, from *os.File) ([]byte, error) {
	defer func() { _ = p.PIDFD.Close() }()
	stop := context.AfterFunc(ctx, func() {
		_ = linux.PidfdSignal(p.PIDFD, unix.SIGKILL)
		_ = from.SetReadDeadline(time.Unix(1, 0)) // what it has started may hold the pipe
	})
	defer stop()
	var output bytes.Buffer
	_, rerr := io.Copy(&output, io.LimitReader(from, maxOutput))
	if rerr == nil {
		_, _ = io.Copy(io.Discard, from)
	}
	if err := linux.PidfdWait(p.PIDFD); err != nil {
		return output.Bytes(), err
	}
	status, err := reapChild(p.PID)
	switch {
	case ctx.Err() != nil:
		return output.Bytes(), ctx.Err()
	case err != nil:
		return output.Bytes(), err
	case status != 0:
		return output.Bytes(), fmt.Errorf("it ended with %s", describe(status))
	}
	return output.Bytes(), nil
}

func reapChild(pid int) (unix.WaitStatus, error) {
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(pid, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("reap process %d: %w", pid, err)
		}
		return status, nil
	}
}

func describe(s unix.WaitStatus) string {
	if s.Signaled() {
		return fmt.Sprintf("signal %v", s.Signal())
	}
	return fmt.Sprintf("exit status %d", s.ExitStatus())
}

// inputFile holds bytes to be read from the start.
func inputFile(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("hook state", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("hold the container's state: %w", err)
	}
	f := os.NewFile(uintptr(fd), "hook state")
	if _, err := f.Write(data); err != nil {
		return nil, errors.Join(fmt.Errorf("hold the container's state: %w", err), f.Close())
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(fmt.Errorf("hold the container's state: %w", err), f.Close())
	}
	return f, nil
}
