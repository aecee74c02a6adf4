package keeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// readyWord is what a detached keeper says to who started it when its daemon is ready. Anything else is the reason why not.
const readyWord = "ready\n"

// Detach makes sure that a keeper and a ready daemon run for the state directory, whatever ran before, and tells whether
// it had to start the keeper. Those that call it at the same time go one after the other.
func Detach(ctx context.Context, exe, state string, args, env []string) (started bool, err error) {
	if err := os.MkdirAll(state, 0o755); err != nil {
		return false, fmt.Errorf("make the state directory: %w", err)
	}
	turn, err := lockTurn(filepath.Join(state, startingName))
	if err != nil {
		return false, err
	}
	defer turn.Close()
	_, err = StartDaemon(ctx, state, args, env)
	if !errors.Is(err, errdefs.ErrUnavailable) {
		return false, err
	}
	return true, spawnKeeper(ctx, exe, state, args, env)
}

func lockTurn(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take turns at the start: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("take turns at the start: %w", err)
	}
	return f, nil
}

// spawnKeeper starts a keeper in a session of its own, and waits for its word.
func spawnKeeper(ctx context.Context, exe, state string, args, env []string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("start the keeper: %w", err)
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start the keeper: %w", err)
	}
	defer r.Close()
	// What the caller's caller has left open here, a lock say, is not the keeper's to hold for as long as it lives.
	if err := unix.CloseRange(3, ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("start the keeper: %w", err)
	}
	log := filepath.Join(state, DaemonLog)
	argv := append([]string{exe, "--state", state, "--log", log, "--"}, args...)
	_, err = syscall.ForkExec(exe, argv, &syscall.ProcAttr{
		Dir:   "/",
		Env:   append(withoutOurs(env), envReady+"=3"),
		Files: []uintptr{null.Fd(), null.Fd(), 2, w.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	w.Close()
	if err != nil {
		return fmt.Errorf("start the keeper %s: %w", exe, err)
	}
	defer context.AfterFunc(ctx, func() { r.Close() })()
	b, err := io.ReadAll(io.LimitReader(r, 4096))
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("start the keeper: %w", context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("start the keeper: %w", err)
	case string(b) == readyWord:
		return nil
	}
	return fmt.Errorf("start the keeper: %s; its log is %s", strings.TrimSpace(string(b)), log)
}
