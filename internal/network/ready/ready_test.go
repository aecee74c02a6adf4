package ready

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

func inode(t *testing.T, f *os.File) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	if kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		t.Fatalf("it is a namespace of kind %#x, %v", kind, err)
	}
	return st.Ino
}

// TestNobodyGetsTheSame takes namespaces with and without one that is ready, and looks whether the host's stays what it is.
func TestNobodyGetsTheSame(t *testing.T) {
	hulltest.NeedRoot(t)
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	n := Open()
	seen := map[uint64]bool{}
	for i := range 20 {
		if i%2 == 0 {
			n.Refill()
		}
		ns, err := n.Take()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ns.Close() }()
		if id := inode(t, ns); seen[id] {
			t.Errorf("namespace %d was given before", id)
		} else {
			seen[id] = true
		}
	}
	n.Refill()
	n.Close()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if now, err := os.Readlink("/proc/self/task/" + task.Name() + "/ns/net"); err == nil && now != home {
			t.Errorf("a thread has stayed in %s", now)
		}
	}
}

// TestWhatIsReadyIsTaken: it is made ahead, and given back when nobody took it.
func TestWhatIsReadyIsTaken(t *testing.T) {
	hulltest.NeedRoot(t)
	n := Open()
	n.Refill()
	ns := <-n.made
	want := inode(t, ns)
	n.made <- ns
	got, err := n.Take()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Close() }()
	if id := inode(t, got); id != want {
		t.Errorf("took namespace %d, and %d was ready", id, want)
	}
	n.Refill()
	ns = <-n.made
	n.made <- ns
	n.Close()
	if ns.Close() == nil {
		t.Error("what was ready is still open")
	}
}
