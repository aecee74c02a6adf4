package linux

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arena is what Go's heap grows by on 64-bit Linux; each begins at a multiple of it.
const arena = 64 << 20

// NoHugePages is for programs that stay small: it keeps the kernel from putting huge pages under the heap, which many
// distributions have it do, and which costs 2 MB for the first byte. It is the first that a program calls. The heap is there
// by then, so where it matters the program is executed again, with huge pages off until its new heap has been told; they are
// not off for its children. The mark is an environment variable that is set in between.
func NoHugePages(mark string) error {
	if os.Getenv(mark) != "" {
		return errors.Join(os.Unsetenv(mark), smallPages(), hugePagesOff(0))
	}
	mode, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || !bytes.Contains(mode, []byte("[always]")) {
		return nil // or a kernel without them
	}
	if off, err := unix.PrctlRetInt(unix.PR_GET_THP_DISABLE, 0, 0, 0, 0); err != nil || off != 0 {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if err := hugePagesOff(1); err != nil {
		return err
	}
	err = syscall.Exec(exe, os.Args, append(os.Environ(), mark+"=1"))
	return errors.Join(fmt.Errorf("execute %s again: %w", exe, err), hugePagesOff(0))
}

func hugePagesOff(off uintptr) error { return unix.Prctl(unix.PR_SET_THP_DISABLE, off, 0, 0, 0) }

// smallPages is for the heap's first arena.
func smallPages() error {
	var here byte // on the heap or on this goroutine's stack, which is in the same arena
	base := uintptr(unsafe.Pointer(&here)) &^ (arena - 1)
	_, _, errno := unix.Syscall(unix.SYS_MADVISE, base, arena, unix.MADV_NOHUGEPAGE)
	// A kernel without huge pages says EINVAL; ENOMEM is that Go has not mapped all of the arena.
	if errno != 0 && errno != unix.EINVAL && errno != unix.ENOMEM {
		return errno
	}
	return nil
}
