package linux_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
)

func TestSpreadBelow(t *testing.T) {
	hulltest.NeedRoot(t)
	for _, dir := range []string{t.TempDir(), "/proc"} {
		var below []string
		if dir != "/proc" {
			below = []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
		}
		for range 2 {
			if err := linux.SpreadBelow(dir, below...); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range below {
			if _, err := os.Stat(d); err != nil {
				t.Error(err)
			}
		}
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			t.Fatal(err)
		}
		if fs.Type != unix.EXT4_SUPER_MAGIC {
			continue
		}
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS); err != nil || flags&0x20000 == 0 {
			t.Errorf("%s: flags %#x, %v", dir, flags, err)
		}
	}
}
