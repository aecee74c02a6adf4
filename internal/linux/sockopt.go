package linux

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Getsockopt asks for an option whose value is bytes, of which the kernel may read the first to know what is asked. It returns how
// many there are.
func Getsockopt(fd, level, name int, value []byte) (int, error) {
	size := uint32(len(value))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(value))), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(size), nil
}
