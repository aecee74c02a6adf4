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
	setFlags(t, filepath.Join(top, "file"), immutable)
	setFlags(t, outside, immutable)
	setFlags(t, filepath.Join(deep, "immutable"), immutable)
	setFlags(t, filepath.Join(deep, "append"), appendOnly)
	setFlags(t, deep, immutable)
	setFlags(t, filepath.Dir(deep), appendOnly)
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

// TestRemoveOfWhatMayNotBeRemoved: the flag of a single file, and of a directory that has nothing in it.
func TestRemoveOfWhatMayNotBeRemoved(t *testing.T) {
	hulltest.NeedRoot(t)
	top := t.TempDir()
	file, dir, link, outside := filepath.Join(top, "file"), filepath.Join(top, "dir"), filepath.Join(top, "link"), filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Mkdir(dir, 0o700), os.WriteFile(outside, nil, 0o600), os.Symlink(outside, link)); err != nil {
		t.Fatal(err)
	}
	setFlags(t, file, immutable)
	setFlags(t, dir, immutable)
	setFlags(t, outside, immutable)
	if err := errors.Join(Remove(file), Remove(file), RemoveTree(dir), Remove(link)); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(top); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := os.Remove(outside); !errors.Is(err, unix.EPERM) {
		t.Errorf("what a link leads to has lost its flag: %v", err)
	}
}

const immutable, appendOnly = 0x10, 0x20

// setFlags sets the flags of an inode, until the test ends.
func setFlags(t *testing.T, path string, flags int) {
	t.Helper()
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
