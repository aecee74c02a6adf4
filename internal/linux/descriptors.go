package linux

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// OwnDescriptors gives the calling thread a table of descriptors of its own, in which only those given stay open, and those
// through which Go's runtime wakes its poller: any thread may have to. The goroutine must be locked to its thread, for good.
//
// What is opened on the thread from then on exists for it alone, and what others open does not exist for it.
func OwnDescriptors(keep ...*os.File) error {
	fds := make([]int, 0, len(keep)+2)
	for _, f := range keep {
		fds = append(fds, int(f.Fd()))
	}
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return fmt.Errorf("unshare the table of descriptors: %w", err)
	}
	poller, err := pollerDescriptors()
	if err != nil {
		return fmt.Errorf("find the runtime's poller: %w", err)
	}
	fds = append(fds, poller...)
	slices.Sort(fds)
	from := 0
	for _, fd := range fds {
		if fd > from {
			if err := unix.CloseRange(uint(from), uint(fd-1), 0); err != nil {
				return fmt.Errorf("close descriptors %d to %d: %w", from, fd-1, err)
			}
		}
		from = fd + 1
	}
	if err := unix.CloseRange(uint(from), ^uint(0)>>33, 0); err != nil {
		return fmt.Errorf("close descriptors from %d: %w", from, err)
	}
	return nil
}

// pollerDescriptors are the runtime's epoll descriptor and the eventfd that it polls to be woken, with whatever else is of their
// kinds: which are the runtime's, nobody says, and their numbers do not tell.
func pollerDescriptors() ([]int, error) {
	const dir = "/proc/thread-self/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var fds []int
	for _, e := range entries {
		link, err := os.Readlink(dir + e.Name())
		if errors.Is(err, os.ErrNotExist) {
			continue // the one by which the directory was read
		}
		if err != nil {
			return nil, err
		}
		if link != "anon_inode:[eventpoll]" && link != "anon_inode:[eventfd]" {
			continue
		}
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}
