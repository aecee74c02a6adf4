package linux

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Flags of an inode, as chattr sets them.
const (
	flagImmutable  = 0x10 // FS_IMMUTABLE_FL
	flagAppendOnly = 0x20 // FS_APPEND_FL
)

// unbind takes the flags of an entry of dir by which not even root may remove it, and tells whether there were any. Who has
// CAP_LINUX_IMMUTABLE in a container can set them.
func unbind(dir *os.File, name string) (bool, error) {
	const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV
	f, err := openResolved(dir, name, unix.O_PATH|unix.O_NOFOLLOW, resolve)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, err
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return false, nil // others have no flags that can be set; to open a device would be to use it
	}
	read, err := os.Open("/proc/self/fd/" + strconv.Itoa(int(f.Fd())))
	if err != nil {
		return false, err
	}
	defer func() { _ = read.Close() }()
	return unbindOpen(read)
}

// unbindOpen is [unbind] of a file that is open.
func unbindOpen(f *os.File) (bool, error) {
	flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil || flags&(flagImmutable|flagAppendOnly) == 0 {
		return false, nil //nolint:nilerr // a file system that has no flags has not set them
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags&^(flagImmutable|flagAppendOnly))); err != nil {
		return false, fmt.Errorf("take its flags: %w", err)
	}
	return true, nil
}
