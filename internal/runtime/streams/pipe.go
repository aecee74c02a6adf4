package streams

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Pipe makes a pipe of which one end is a process'. Only ours is non-blocking: O_NONBLOCK belongs to the open file, and a
// program would meet EAGAIN where it never had before. os.Pipe makes both so.
func Pipe(weRead bool) (theirs, ours *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	our, their := fds[1], fds[0]
	if weRead {
		our, their = fds[0], fds[1]
	}
	if err := unix.SetNonblock(our, true); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make a pipe: %w", err), unix.Close(our), unix.Close(their))
	}
	return os.NewFile(uintptr(their), "pipe"), os.NewFile(uintptr(our), "pipe"), nil
}

// Duplicate is another descriptor of the same open file, which becomes non-blocking: a write to a terminal whose input is full
// then waits in Go's poller.
func Duplicate(f *os.File) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var derr error
	if err := raw.Control(func(old uintptr) { fd, derr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if derr != nil {
		return nil, fmt.Errorf("duplicate %s: %w", f.Name(), derr)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, errors.Join(fmt.Errorf("duplicate %s: %w", f.Name(), err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// CloseAll closes what its caller has no use for any more.
func CloseAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}
