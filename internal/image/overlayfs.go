package image

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
)

var fpOverlayfs = failpoint.New("image.overlayfs") // stands for a kernel without overlayfs

// errNoOverlayfs says what to do about it: nothing of Hull works without.
var errNoOverlayfs = errors.New("this kernel has no overlayfs, of which containers' file systems are made: load its module (modprobe overlay), or boot a kernel with CONFIG_OVERLAY_FS")

// probeOverlayfs asks the kernel, which loads the module if there is one.
func probeOverlayfs() error {
	if err := fpOverlayfs.Hit(); err != nil {
		return fmt.Errorf("%w (%w)", errNoOverlayfs, err)
	}
	fd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if errors.Is(err, unix.ENODEV) {
		return errNoOverlayfs
	}
	if err == nil {
		_ = unix.Close(fd)
	}
	return nil // another error, for want of a right say, is told where it matters
}
