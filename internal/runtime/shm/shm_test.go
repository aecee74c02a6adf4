package shm

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

func TestMount(t *testing.T) {
	hulltest.NeedRoot(t)
	dir := filepath.Join(t.TempDir(), "shm")
	if err := Unmount(dir); err != nil {
		t.Errorf("not there: %v", err)
	}
	if err := Mount(dir); err != nil {
		t.Fatal(err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	if fs.Type != unix.TMPFS_MAGIC || fs.Blocks*uint64(fs.Bsize) != size || fs.Flags&unix.ST_NOEXEC == 0 {
		t.Errorf("type %#x, %d bytes, flags %#x", fs.Type, fs.Blocks*uint64(fs.Bsize), fs.Flags)
	}
	for range 2 {
		if err := Unmount(dir); err != nil {
			t.Error(err)
		}
	}
}
