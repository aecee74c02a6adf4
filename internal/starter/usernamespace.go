package starter

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

// userNamespace makes a user namespace with a mapping, for mounts that apply it to owners. A process that only waits is
// cloned into it, and ends once the namespace is held by the descriptor.
func (n *Native) userNamespace(uids, gids []oci.LinuxIDMapping) (*os.File, error) {
	s, err := n.spawner(visible)
	if err != nil {
		return nil, err
	}
	c, err := s.clone(order{name: "hull-init", flags: unix.CLONE_NEWUSER, uidMappings: uids, gidMappings: gids})
	if err != nil {
		return nil, err
	}
	defer func() {
		c.kill()
		c.close()
		_, _ = reapChild(c.pid)
	}()
	fd, err := unix.Openat(int(n.proc.Fd()), strconv.Itoa(c.pid)+"/ns/user", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "a user namespace", Err: err}
	}
	return os.NewFile(uintptr(fd), "user namespace"), nil
}
