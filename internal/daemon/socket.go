package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// socketGroup may use the API beside root, where the machine has such a group.
const socketGroup = "hull"

// listen opens the API's socket for root and the group alone.
func listen(ctx context.Context, path string) (net.Listener, error) {
	// The keeper lets one hulld at a time live, so a socket that is there is a dead one's.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	config := net.ListenConfig{Control: private}
	l, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := share(path); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// private gives the file that bind will make its mode beforehand, so that nobody else can ever connect. The umask, which
// could do the same, is the whole process'.
func private(_, _ string, socket syscall.RawConn) error {
	var mode error
	err := socket.Control(func(fd uintptr) { mode = unix.Fchmod(int(fd), 0o600) })
	return errors.Join(err, mode)
}

// share lets the group in.
func share(path string) error {
	g, err := user.LookupGroup(socketGroup)
	if err != nil {
		return nil // no such group: root alone
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("group %s has ID %q: %w", socketGroup, g.Gid, err)
	}
	return errors.Join(os.Chown(path, 0, gid), os.Chmod(path, 0o660))
}
