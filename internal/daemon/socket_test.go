package daemon

import (
	"errors"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestListen: the socket is nobody else's from its first moment on, whatever the umask.
func TestListen(t *testing.T) {
	dir, err := os.MkdirTemp("", "hulld") // a unix socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	old := unix.Umask(0)
	defer unix.Umask(old)
	path := filepath.Join(dir, "hull.sock")
	for range 2 { // a dead hulld's is in the way the second time
		config := net.ListenConfig{Control: private}
		l, err := config.Listen(t.Context(), "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if l, err = listen(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		want := os.FileMode(0o600)
		if _, err := user.LookupGroup(socketGroup); err == nil {
			want = 0o660
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(conn.Close(), l.Close()); err != nil {
			t.Error(err)
		}
	}
}
