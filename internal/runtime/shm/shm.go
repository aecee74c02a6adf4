// Package shm makes the /dev/shm that a Pod's containers share.
package shm

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// size is what Kubernetes' runtimes give a Pod.
const size = 64 << 20

// Mount makes a directory, and mounts it there: not on a descriptor, because containers that start after a restart of hulld need
// it too.
func Mount(dir string) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	m, err := linux.NewMount("tmpfs", "shm", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC,
		linux.KeyValue("size", strconv.Itoa(size)), linux.KeyValue("mode", "1777"))
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	return linux.AttachPath(m, dir)
}

// Unmount leaves the directory. One that is not there, or on which nothing is mounted, is fine.
func Unmount(dir string) error { return linux.Detach(dir) }
