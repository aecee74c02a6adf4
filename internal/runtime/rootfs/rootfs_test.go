package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// at is a path below a mount that is attached nowhere.
func at(root *os.File, name string) string {
	return filepath.Join(fmt.Sprintf("/proc/self/fd/%d", root.Fd()), name)
}

func TestMountPoints(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "points")
	for range 2 { // at each start
		must(t, MakeMountPoints(dir))
	}
	for name, isDir := range map[string]bool{"dev": true, "proc": true, "sys": true, "etc": true, "etc/hosts": false, "etc/resolv.conf": false, "etc/hostname": false} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.IsDir() != isDir || st.Size() != 0 && !isDir {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
}

// TestRoot: the image hides the mount points, the writable layer the image; only that is written to; and what a crash left mounted
// once is mounted again.
func TestRoot(t *testing.T) {
	hulltest.NeedRoot(t)
	dir := t.TempDir()
	image, points, upper := filepath.Join(dir, "image"), filepath.Join(dir, "points"), Upper(filepath.Join(dir, "upper"))
	must(t, MakeMountPoints(points))
	must(t, os.MkdirAll(filepath.Join(image, "etc"), 0o755))
	must(t, os.WriteFile(filepath.Join(image, "etc/hostname"), []byte("image"), 0o644))
	must(t, os.WriteFile(filepath.Join(image, "file"), []byte("image"), 0o644))
	must(t, upper.Make())
	if upper.Make() == nil {
		t.Error("a layer that is there is made")
	}
	for range 2 {
		root, err := upper.Mount([]string{image, points})
		must(t, err)
		for name, want := range map[string]string{"etc/hostname": "image", "etc/hosts": "", "file": "image"} {
			if got, err := os.ReadFile(at(root, name)); err != nil || string(got) != want {
				t.Errorf("%s has %q, %v; want %q", name, got, err, want)
			}
		}
		must(t, os.WriteFile(at(root, "etc/hosts"), []byte("container"), 0o644))
		must(t, os.Remove(at(root, "file")))
		st, err := os.Stat(at(root, ""))
		if err != nil || st.Mode().Perm() != 0o755 {
			t.Errorf("the root is %v, %v", st, err)
		}
		if _, err := os.Stat(at(root, "file")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what was removed: %v", err)
		}
		must(t, root.Close())
		for _, lower := range []string{filepath.Join(image, "file"), filepath.Join(points, "etc/hosts")} {
			if got, err := os.ReadFile(lower); err != nil || string(got) == "container" {
				t.Errorf("%s has %q, %v", lower, got, err)
			}
		}
		must(t, os.RemoveAll(filepath.Join(string(upper), "upper"))) // as far as the container came
		must(t, os.Mkdir(filepath.Join(string(upper), "upper"), 0o755))
	}
	must(t, upper.Remove())
	if _, err := os.Stat(string(upper)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is left: %v", err)
	}
	must(t, upper.Remove())
}
