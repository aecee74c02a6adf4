package linux

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOwnDescriptorsKeepsThePoller gives another epoll a lower number than the runtime's: without that on any thread that wakes
// it, the runtime throws.
func TestOwnDescriptorsKeepsThePoller(t *testing.T) {
	r, w, err := os.Pipe() // polled, so that the runtime has its poller
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	stdin, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stdin)
	before := polls(t)
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ep)
	if err := unix.Dup3(ep, 0, unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Dup2(stdin, 0); err != nil {
			t.Error(err)
		}
	}()
	var after, all []string
	ended := make(chan error)
	go onLostThread(func() {
		err := OwnDescriptors(w)
		after, all = polls(t), descriptors(t, func(string) bool { return true })
		ended <- err
	})
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for _, fd := range before {
		if !slices.Contains(after, fd) {
			t.Errorf("descriptor %s is not the thread's; it has %v", fd, after)
		}
	}
	if len(before) < 2 || len(all) != len(after)+2 { // w, and the directory's own
		t.Errorf("%v before; all after: %v, of which %v poll", before, all, after)
	}
}

// onLostThread runs f on a thread that ends with it. The main thread cannot end, and is what /proc/self shows: it is held
// meanwhile, and left alone.
func onLostThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	defer runtime.UnlockOSThread()
	done := make(chan struct{})
	go func() {
		defer close(done)
		onLostThread(f)
	}()
	<-done
}

// polls are the thread's descriptors of the poller's kinds.
func polls(t *testing.T) []string {
	return descriptors(t, func(link string) bool {
		return link == "anon_inode:[eventpoll]" || link == "anon_inode:[eventfd]"
	})
}

func descriptors(t *testing.T, which func(link string) bool) (found []string) {
	entries, err := os.ReadDir("/proc/thread-self/fd")
	if err != nil {
		t.Error(err)
	}
	for _, e := range entries {
		if link, _ := os.Readlink(filepath.Join("/proc/thread-self/fd", e.Name())); which(link) {
			found = append(found, e.Name())
		}
	}
	return found
}
