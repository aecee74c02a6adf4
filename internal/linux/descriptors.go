package linux

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

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

// pollerDescriptors are the runtime's epoll descriptor and the eventfd that it polls to be woken. They are the first of their
// kinds, as the runtime makes them before anything that is polled.
func pollerDescriptors() ([]int, error) {
	const dir = "/proc/thread-self/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	first := map[string]int{}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return nil, err
		}
		link, err := os.Readlink(dir + e.Name())
		if errors.Is(err, os.ErrNotExist) {
			continue // the one by which the directory was read
		}
		if err != nil {
			return nil, err
		}
		kind := strings.TrimPrefix(link, "anon_inode:")
		if was, ok := first[kind]; !ok || fd < was {
			first[kind] = fd
		}
	}
	var fds []int
	for _, kind := range []string{"[eventpoll]", "[eventfd]"} {
		if fd, ok := first[kind]; ok {
			fds = append(fds, fd)
		}
	}
	return fds, nil
}
