package linux_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
)

func TestInNetnsEntersAndComesBack(t *testing.T) {
	hulltest.NeedRoot(t)
	ns := hulltest.Netns(t)
	var want unix.Stat_t
	if err := unix.Fstat(int(ns.Fd()), &want); err != nil {
		t.Fatal(err)
	}
	home := hulltest.Inode(t, "/proc/self/ns/net")
	var inside uint64
	cause := errors.New("cause")
	err := linux.InNetns(ns, func() error {
		inside = hulltest.Inode(t, "/proc/thread-self/ns/net")
		return cause
	})
	if !errors.Is(err, cause) {
		t.Errorf("error %v, want the function's own", err)
	}
	if inside != want.Ino || inside == home {
		t.Errorf("fn ran in namespace %d, want %d (ours is %d)", inside, want.Ino, home)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		var st unix.Stat_t
		if unix.Stat("/proc/self/task/"+task.Name()+"/ns/net", &st) == nil && st.Ino == want.Ino {
			t.Errorf("thread %s stayed in the namespace", task.Name())
		}
	}
}

func TestInNetnsRefusesWhatIsNoNamespace(t *testing.T) {
	hulltest.NeedRoot(t)
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := linux.InNetns(f, func() error { t.Error("fn ran"); return nil }); !errors.Is(err, unix.EINVAL) {
		t.Errorf("error %v, want EINVAL", err)
	}
}
