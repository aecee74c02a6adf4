package linux

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// InNetns runs fn on a thread that is inside another network namespace, and comes back. Sockets that fn opens stay in that
// namespace and may be used from any thread afterwards; goroutines that fn starts are not inside.
//
// The work is done by a goroutine of its own, locked to its thread. A thread that cannot come back is never unlocked, so
// that the Go runtime ends it with the goroutine instead of running others on it in the wrong namespace.
func InNetns(ns *os.File, fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("open the thread's network namespace: %w", err)
			return
		}
		defer func() { _ = unix.Close(home) }()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			done <- fmt.Errorf("enter network namespace %s: %w", ns.Name(), err)
			return
		}
		err = fn()
		if back := unix.Setns(home, unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// NewNetns makes a network namespace, which lives as long as the file or anybody in it.
func NewNetns() (ns *os.File, err error) {
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	defer func() { _ = home.Close() }()
	err = InNetns(home, func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a new network namespace: %w", err)
		}
		ns = os.NewFile(uintptr(fd), "network namespace")
		return nil
	})
	return ns, err
}
