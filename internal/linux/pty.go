package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OpenPTY makes a terminal in a devpts that the caller has made, or has found to be one: the master, and the end for the
// process, which is opened through the master and not by a name that might lead elsewhere.
func OpenPTY(devpts *os.File) (master, slave *os.File, err error) {
	// Without its file descriptor in Go's poller: the master is passed on.
	master, err = OpenBeneath(devpts, "ptmx", unix.O_RDWR|unix.O_NOCTTY)
	if err != nil {
		return nil, nil, fmt.Errorf("open pty master: %w", err)
	}
	if slave, err = PTYPeer(master); err != nil {
		_ = master.Close()
		return nil, nil, err
	}
	return master, slave, nil
}

// PTYPeer unlocks a terminal and opens the end that is the process'.
func PTYPeer(master *os.File) (*os.File, error) {
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock pty: %w", err)
	}
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, flags)
	if errno != 0 {
		return nil, fmt.Errorf("open the process' end of the pty: %w", errno)
	}
	return os.NewFile(fd, "pty"), nil
}

// IsDevPTS tells whether f is in a devpts file system.
func IsDevPTS(f *os.File) (bool, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false, fmt.Errorf("stat file system of %s: %w", f.Name(), err)
	}
	return int64(st.Type) == unix.DEVPTS_SUPER_MAGIC, nil
}
