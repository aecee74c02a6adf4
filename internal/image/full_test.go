package image

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/hulltest"
)

// onSmallDisk gives the store a disk of its own.
func (f *fixture) onSmallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	hulltest.NeedRoot(t)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f.Store = nil
	dir = t.TempDir()
	if err := syscall.Mount("hull-image-test", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if f.Store != nil {
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			f.Store = nil
		}
		// containerd's look at what the file system can do leaves a file to the garbage collector to close.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f.config.Root = filepath.Join(dir, "images")
	f.reopen(t)
	return dir
}

// A disk that becomes full while a layer is begun may be full at any of the writes that take, each in one of two databases, and
// at those that take the first back.
func TestDiskFullAtEachPage(t *testing.T) {
	f := newFixture(t)
	dir := f.onSmallDisk(t, "4m")
	for pages := range 24 {
		_, err := f.admit(f.context(t.Context()), "pull x", func(ctx context.Context) ([]admission, error) {
			fill(t, filepath.Join(dir, "other"), pages)
			for {
				label := snapshots.WithLabels(map[string]string{snapshots.LabelSnapshotRef: rand.Text(), "containerd.io/snapshot/x": strings.Repeat("x", 1000)})
				if _, err := f.snaps.Prepare(ctx, rand.Text(), "", label); err != nil {
					return nil, err
				}
			}
		})
		if err := f.classify(err); !errdefs.IsResourceExhausted(err) {
			t.Errorf("with %d pages: %v", pages, err)
		}
		f.wantNothing(t)
		if err := os.Remove(filepath.Join(dir, "other")); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("with %d pages", pages)
		}
	}
	// What could not be removed even so is looked for at the next start.
	if err := os.Mkdir(filepath.Join(f.root, "snapshots/snapshots/1000000"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.reopen(t)
	f.wantNothing(t)
}

// fill writes a file until that many pages of the disk are left.
func fill(t *testing.T, path string, pages int) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(filepath.Dir(path), &st); err != nil {
		t.Fatal(err)
	}
	n := (int64(st.Bavail) - int64(pages)) * st.Bsize
	if n < 0 {
		t.Fatalf("%d pages are left, want %d", st.Bavail, pages)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Fallocate(int(f.Fd()), 0, 0, n), f.Close()); err != nil {
		t.Fatal(err)
	}
}
