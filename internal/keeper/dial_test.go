package keeper

import (
	"errors"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/fdconn"
)

// dialAs connects as another user and returns the error of the first receive. The thread that changed its user is never
// given back: it ends with its goroutine.
func dialAs(uid int, sock string) error {
	runtime.LockOSThread()
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
		return errno
	}
	conn, err := fdconn.Dial(sock)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, _, err = conn.Recv(maxMsg)
	if err == nil {
		return errors.New("it was answered")
	}
	return err
}
