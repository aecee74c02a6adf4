package linux

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The functions of this file take bare descriptors, of which thousands are held without an os.File and the poller's
// attention, and return bare errno values: unix.EAGAIN when they would wait.

// Splice moves up to n bytes from one descriptor to another, one of which is a pipe, without waiting for a pipe. Bytes move
// as a whole: a process that is killed in it has moved all that it would return, or nothing.
func Splice(from, to, n int) (int, error) {
	for {
		m, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if err != unix.EINTR {
			return int(max(m, 0)), err
		}
	}
}

// Tee copies up to n bytes of a pipe to another one and leaves them where they are. Zero bytes are the end of the pipe.
func Tee(from, to, n int) (int, error) {
	for {
		m, err := unix.Tee(from, to, n, unix.SPLICE_F_NONBLOCK)
		if err != unix.EINTR {
			return int(max(m, 0)), err
		}
	}
}

// Poll asks which of the events are there now.
func Poll(fd int, events int16) (int16, error) {
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: events}}
		if _, err := unix.Poll(p, 0); err != unix.EINTR {
			return p[0].Revents, err
		}
	}
}

// OnePipe makes a pipe with one descriptor for both ends. It has no end of file: its writer is its reader.
func OnePipe() (*os.File, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	fd, err := unix.Open(ownFD(p[0]), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open both ends of a pipe: %w", err)
	}
	return os.NewFile(uintptr(fd), "pipe"), nil
}

// PipeHolds is how many bytes are in a pipe.
func PipeHolds(fd int) (int, error) {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0, fmt.Errorf("ask how much is in a pipe: %w", err)
	}
	return n, nil
}

// GrowPipe makes room for n bytes in a pipe, or for one piece of any size in each 4 KiB of it.
func GrowPipe(fd, n int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, n); err != nil {
		return fmt.Errorf("grow a pipe to %d bytes: %w", n, err)
	}
	return nil
}

func ownFD(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

// TakeFD takes the descriptor out of an os.File, which is closed: it is the caller's, and no longer watched by Go's poller.
func TakeFD(f *os.File) (int, error) {
	defer f.Close()
	rc, err := f.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("take a descriptor: %w", err)
	}
	fd := -1
	var derr error
	err = rc.Control(func(old uintptr) { fd, derr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3) })
	if err == nil {
		err = derr
	}
	if err != nil {
		return -1, fmt.Errorf("take a descriptor: %w", err)
	}
	return fd, nil
}

// Atomic32 is the 32-bit number at the start of b, which must be aligned: shared memory is written in an order that a later
// process can rely on.
func Atomic32(b []byte) *atomic.Uint32 {
	_ = b[3]
	return (*atomic.Uint32)(unsafe.Pointer(&b[0]))
}

// Pipe makes a pipe whose ends block, for programs of any kind, and that Go's poller does not watch.
func Pipe() (r, w *os.File, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	return os.NewFile(uintptr(p[0]), "pipe"), os.NewFile(uintptr(p[1]), "pipe"), nil
}
