package linux

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// topDir is EXT4_TOPDIR_FL of ext4's headers, what chattr(1) calls T.
const topDir = 0x00020000

// SpreadBelow tells the file system that what is below each directory of dir has nothing to do with what is below the others.
// ext4 then puts each into a block group of its own. Without it all of them share one, in which, without a journal, the
// search for a free inode passes by all those that were freed in the last minutes: an overlay took 2.3 ms where it takes 0.5.
// File systems that have no such thing are left alone.
func SpreadBelow(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil && flags&topDir == 0 {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|topDir)
	}
	for _, absent := range []error{unix.ENOTTY, unix.EOPNOTSUPP, unix.EINVAL, unix.ENOSYS, unix.EPERM} {
		if errors.Is(err, absent) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("spread what is below %s: %w", dir, err)
	}
	return nil
}
