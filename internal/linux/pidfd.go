package linux

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// PidfdOpen returns a descriptor of a process. It is close-on-exec, and non-blocking so that Go's poller tells when the
// process has ended. A process that is gone gives unix.ESRCH.
func PidfdOpen(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open a descriptor of process %d: %w", pid, err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// PidfdSignal sends a signal to the process of a pidfd. One that has ended gives [os.ErrProcessDone].
func PidfdSignal(pidfd *os.File, sig unix.Signal) error {
	rc, err := pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("signal a process: %w", err)
	}
	var serr error
	err = rc.Control(func(fd uintptr) { serr = unix.PidfdSendSignal(int(fd), sig, nil, 0) })
	if errors.Is(serr, unix.ESRCH) {
		return os.ErrProcessDone
	}
	if err = errors.Join(err, serr); err != nil {
		return fmt.Errorf("send %v to a process: %w", sig, err)
	}
	return nil
}

// PidfdWait waits until the process of a pidfd has ended. It does not reap it. Closing the descriptor ends the wait with
// [os.ErrClosed]; a read deadline on it works too.
func PidfdWait(pidfd *os.File) error {
	rc, err := pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("wait for a process: %w", err)
	}
	err = rc.Read(func(fd uintptr) bool { return PidfdEnded(int(fd)) })
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		err = os.ErrClosed // the poller has an error of its own for that
	}
	if err != nil {
		return fmt.Errorf("wait for a process: %w", err)
	}
	return nil
}

// PidfdKill kills the process of a pidfd, and waits until it has ended. When the context ends before, the descriptor is
// closed.
func PidfdKill(ctx context.Context, pidfd *os.File) error {
	if err := PidfdSignal(pidfd, unix.SIGKILL); err != nil {
		if errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = pidfd.Close() })
	defer stop()
	if err := PidfdWait(pidfd); err != nil {
		return errors.Join(err, ctx.Err())
	}
	return nil
}

// PidfdEnded tells whether the process of a pidfd has ended.
func PidfdEnded(fd int) bool {
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, 0); err != unix.EINTR {
			return err != nil || n > 0
		}
	}
}
