package linux

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrChroot says that the root is not that of the mount namespace.
var ErrChroot = errors.New("this is a chroot: / is not the root of its mount namespace")

// LeaveChroot gives the calling thread the root of its process's mount namespace, and is ErrChroot if that is another than it had.
// The thread must not share its root with others (unshare(2), CLONE_FS); its working directory becomes the root.
//
// To enter a mount namespace by setns(2) is to get its root, whatever chroot one was in.
func LeaveChroot() error {
	before, err := rootMount()
	if err != nil {
		return err
	}
	self, err := PidfdOpen(os.Getpid())
	if err != nil {
		return err
	}
	defer func() { _ = self.Close() }()
	if err := unix.Setns(int(self.Fd()), unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the root of the mount namespace: %w", err)
	}
	after, err := rootMount()
	if err != nil {
		return err
	}
	if before != after {
		return ErrChroot
	}
	return nil
}

// rootMount is which directory of which mount the thread's root is.
func rootMount() ([2]uint64, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, "/", 0, unix.STATX_INO|unix.STATX_MNT_ID, &st); err != nil {
		return [2]uint64{}, fmt.Errorf("look at /: %w", err)
	}
	return [2]uint64{st.Mnt_id, st.Ino}, nil
}
