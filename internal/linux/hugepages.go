package linux

import (
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// arena is what Go's heap grows by on 64-bit Linux; each begins at a multiple of it.
const arena = 64 << 20

// NoHugePages is for programs that stay small: it keeps the kernel from putting huge pages under the heap, which many
// distributions have it do and which costs up to 2 MB for the first byte, and gives back what one has taken already.
//
// prctl(PR_SET_THP_DISABLE) would do, but children inherit it, and it is not for us to decide that for containers.
func NoHugePages() error {
	var here byte // on the heap or on this goroutine's stack, which is in the same arena
	base := uintptr(unsafe.Pointer(&here)) &^ (arena - 1)
	_, _, errno := unix.Syscall(unix.SYS_MADVISE, base, arena, unix.MADV_NOHUGEPAGE)
	// A kernel without huge pages says EINVAL; ENOMEM is that Go has not mapped all of the arena yet.
	if errno != 0 && errno != unix.EINVAL && errno != unix.ENOMEM {
		return errno
	}
	debug.FreeOSMemory()
	return nil
}
