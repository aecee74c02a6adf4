package linux

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// SetSubreaper makes orphans among this process's descendants its children.
func SetSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	return nil
}

// Reap reaps one ended child, whichever it is. It returns 0 when none has ended.
func Reap() (pid int, status unix.WaitStatus, err error) {
	for {
		pid, err = unix.Wait4(-1, &status, unix.WNOHANG|unix.WALL, nil)
		switch err {
		case nil:
			return pid, status, nil
		case unix.EINTR:
		case unix.ECHILD:
			return 0, 0, nil
		default:
			return 0, 0, fmt.Errorf("reap children: %w", err)
		}
	}
}

// ChildState is what the kernel says of a process number.
type ChildState int

const (
	NotChild    ChildState = iota // no child of ours: reaped, or never ours
	ChildAlive                    // a child that lives
	ChildZombie                   // a child that has ended and waits to be reaped
)

// StateOfChild asks about a process number without reaping.
func StateOfChild(pid int) (ChildState, error) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
		switch {
		case err == unix.EINTR:
		case err == unix.ECHILD:
			return NotChild, nil
		case err != nil:
			return NotChild, fmt.Errorf("ask about child %d: %w", pid, err)
		case info.Signo == 0:
			return ChildAlive, nil
		default:
			return ChildZombie, nil
		}
	}
}
