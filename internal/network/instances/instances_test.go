package instances

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

// TestLife: a Hull is seen to live for as long as it does, also if somebody else had its address, or has one that looks like it.
func TestLife(t *testing.T) {
	id, other := hulltest.Instance(t), hulltest.Instance(t)
	wantLife := func(id string, want bool) {
		t.Helper()
		if got, err := lives(id); err != nil || got != want {
			t.Errorf("lives: %t, %v", got, err)
		}
	}
	wantLife(id, false)
	for _, taken := range []bool{false, true} {
		i := &Instance{ID: id}
		somebody, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if taken {
			if err := unix.Bind(somebody, address(id)); err != nil {
				t.Fatal(err)
			}
		}
		if err := i.showLife(); err != nil {
			t.Fatal(err)
		}
		wantLife(id, true)
		_ = unix.Close(somebody)
		wantLife(id, true)
		wantLife(other, false)
		i.Close()
		wantLife(id, false)
	}
}
