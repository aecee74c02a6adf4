package linux

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

// TestRemoveTreeOfWhatMayNotBeRemoved: chattr +i and +a, which a container with CAP_LINUX_IMMUTABLE sets, keep nothing.
func TestRemoveTreeOfWhatMayNotBeRemoved(t *testing.T) {
	hulltest.NeedRoot(t)
	const immutable, appendOnly = 0x10, 0x20
	top := filepath.Join(t.TempDir(), "top")
	deep := filepath.Join(top, "a", "deep")
	outside := filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(
		os.MkdirAll(deep, 0o700),
		os.WriteFile(outside, nil, 0o600),
		os.WriteFile(filepath.Join(deep, "immutable"), nil, 0o600),
		os.WriteFile(filepath.Join(deep, "append"), nil, 0o600),
		os.Symlink(outside, filepath.Join(deep, "link")),
		unix.Mkfifo(filepath.Join(deep, "fifo"), 0o600), // nobody writes: it must not be opened
		os.WriteFile(filepath.Join(top, "file"), nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}
	set := func(path string, flags int) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags); err != nil {
			t.Skipf("the file system has no such flags: %v", err)
		}
		t.Cleanup(func() { // for the test's directories, should it fail
			if f, err := os.Open(path); err == nil {
				_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0)
				_ = f.Close()
			}
		})
	}
	set(filepath.Join(top, "file"), immutable)
	set(outside, immutable)
	set(filepath.Join(deep, "immutable"), immutable)
	set(filepath.Join(deep, "append"), appendOnly)
	set(deep, immutable)
	set(filepath.Dir(deep), appendOnly)
	if err := RemoveTree(top); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(top); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v", top, err)
	}
	if err := os.Remove(outside); !errors.Is(err, unix.EPERM) {
		t.Errorf("what a link leads to has lost its flag: %v", err)
	}
}
