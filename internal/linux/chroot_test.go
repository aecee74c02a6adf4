package linux

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

func TestLeaveChroot(t *testing.T) {
	hulltest.NeedRoot(t)
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		root string
		want error
	}{
		{"the namespace's root", "/", nil},
		{"a directory below it", dir, ErrChroot},
	} {
		t.Run(c.name, func(t *testing.T) {
			done := make(chan error)
			go func() {
				runtime.LockOSThread() // and never unlocked: the thread ends with its root
				if err := unix.Unshare(unix.CLONE_FS); err != nil {
					done <- err
					return
				}
				if err := unix.Chroot(c.root); err != nil {
					done <- err
					return
				}
				done <- LeaveChroot()
			}()
			if err := <-done; !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
