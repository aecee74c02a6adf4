package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// shmSize is what Kubernetes' runtimes give a Pod for /dev/shm.
const shmSize = 64 << 20

// shm is the Pod's /dev/shm. It is under the state directory, not in a descriptor, because containers that start after a restart
// of hulld need it too.
func (s *sandbox) shm() string {
	if s.config().HostIPC {
		return "/dev/shm"
	}
	return filepath.Join(s.r.dirs.Sandbox(s.id), "shm")
}

func mountShm(dir string) error {
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	m, err := linux.NewMount("tmpfs", "shm", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC,
		linux.KeyValue("size", strconv.Itoa(shmSize)), linux.KeyValue("mode", "1777"))
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	return linux.AttachPath(m, dir)
}

func (s *sandbox) removeShm() error {
	if s.config().HostIPC {
		return nil
	}
	err := unix.Unmount(s.shm(), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", s.shm(), err)
	}
	return nil
}
