package linux

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ProcTakesPIDNamespace tells whether a procfs can be made for another PID namespace than the maker's: Linux 6.17.
func ProcTakesPIDNamespace() (bool, error) {
	fsfd, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false, fmt.Errorf("probe procfs: %w", err)
	}
	defer func() { _ = unix.Close(fsfd) }()
	ns, err := unix.Open("/proc/thread-self/ns/pid", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("probe procfs: %w", err)
	}
	defer func() { _ = unix.Close(ns) }()
	err = unix.FsconfigSetFd(fsfd, "pidns", ns)
	if errors.Is(err, unix.EINVAL) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("probe procfs: %w", err)
	}
	return true, nil
}
