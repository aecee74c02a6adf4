package linux

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// topDir is EXT4_TOPDIR_FL of ext4's headers, what chattr(1) calls T.
const topDir = 0x00020000

// SpreadBelow makes directories below top whose contents have nothing to do with each other, and says so to the file system.
// ext4 then puts each into a block group of its own. Otherwise all of them share one, in which, without a journal, the
// search for a free inode passes by all those that were freed in the last minutes: an overlay took 2.3 ms where it takes 0.3.
// File systems that know no such thing just have the directories.
func SpreadBelow(top string, dirs ...string) error {
	f, err := os.Open(top)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil && flags&topDir == 0 {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|topDir)
	}
	unknown := []error{unix.ENOTTY, unix.EOPNOTSUPP, unix.EINVAL, unix.ENOSYS, unix.EPERM}
	if err != nil && !slices.ContainsFunc(unknown, func(e error) bool { return errors.Is(err, e) }) {
		return fmt.Errorf("spread what is below %s: %w", top, err)
	}
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}
