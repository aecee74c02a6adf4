package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/hulltest"
)

func sub(path string) v1.VolumeMount {
	return v1.VolumeMount{Name: "a", MountPath: "/a", SubPath: path}
}

func TestSubPath(t *testing.T) {
	hulltest.NeedRoot(t)
	v, p := open(t), pod(emptyDir("a"))
	if err := v.Make(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	defer forget(t, v)
	root := v.Locations(p)[0].Path
	outside := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(root, "dir"), 0o700),
		os.WriteFile(filepath.Join(root, "dir", "file"), nil, 0o600),
		os.Symlink("dir", filepath.Join(root, "within")),
		os.Symlink("../../../..", filepath.Join(root, "up")),
		os.Symlink(outside, filepath.Join(root, "out")),
		os.Symlink("/proc/self/root", filepath.Join(root, "magic")),
		os.Symlink("nowhere", filepath.Join(root, "dangling")),
	); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"dir": "dir", "dir/file": "dir/file", "within": "dir", "within/file": "dir/file", "new/deep": "new/deep", "within/made": "dir/made"} {
		m, err := mountOne(t, v, p, sub(path))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if inode(t, m.File) != hulltest.Inode(t, filepath.Join(root, want)) {
			t.Errorf("%s is not %s", path, want)
		}
		if m.File.Name() != filepath.Join(root, path) { // by which the mount's source is told
			t.Errorf("%s is named %s", path, m.File.Name())
		}
	}
	if info, err := os.Stat(filepath.Join(root, "new", "deep")); err != nil || info.Mode() != os.ModeDir|0o777 {
		t.Errorf("made with %v, not as the volume itself: %v", info.Mode(), err)
	}
	for path, want := range map[string]string{
		"up":        `failed to prepare subPath for volumeMount "a" of container "c"`,
		"out":       `failed to prepare subPath for volumeMount "a" of container "c"`,
		"out/x":     `failed to prepare subPath for volumeMount "a" of container "c"`,
		"magic/etc": `failed to prepare subPath for volumeMount "a" of container "c"`,
		"dangling":  `failed to create subPath directory for volumeMount "a" of container "c"`,
		"/etc":      "error SubPath `/etc` must not be an absolute path",
		"../x":      "unable to provision SubPath `../x`: must not contain '..'",
	} {
		if _, err := mountOne(t, v, p, sub(path)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("something was made outside: %v", left)
	}
}

// TestSubPathRace opens a subPath while a container swaps directories for symlinks to the outside, again and again. It may
// fail; it must never open, or make, anything but what is in the volume.
func TestSubPathRace(t *testing.T) {
	hulltest.NeedRoot(t)
	v, p := open(t), pod(emptyDir("a"))
	if err := v.Make(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	defer forget(t, v)
	root := v.Locations(p)[0].Path
	outside := t.TempDir()
	swap, link := filepath.Join(root, "x"), filepath.Join(root, "link")
	if err := errors.Join(os.Mkdir(filepath.Join(outside, "y"), 0o755), os.Mkdir(swap, 0o755), os.Mkdir(filepath.Join(swap, "y"), 0o755), os.Symlink(outside, link)); err != nil {
		t.Fatal(err)
	}
	bad := hulltest.Inode(t, filepath.Join(outside, "y"))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, swap, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			}
		}
	})
	opened := 0
	for i := range 3000 {
		for _, path := range []string{"x/y", fmt.Sprintf("x/y/new-%d", i)} {
			list, err := v.Mounts(p, container(sub(path)))
			if err != nil {
				continue
			}
			if path == "x/y" && inode(t, list[0].File) == bad {
				t.Error("opened a directory outside of the volume")
			}
			opened++
			_ = list[0].File.Close()
		}
	}
	close(stop)
	wg.Wait()
	if left, _ := os.ReadDir(filepath.Join(outside, "y")); len(left) != 0 {
		t.Errorf("made outside of the volume: %v", left)
	}
	if opened == 0 {
		t.Error("nothing was ever opened: the race was not run")
	}
}

// TestRemoveHostile fills a volume with everything that a removal could trip over.
func TestRemoveHostile(t *testing.T) {
	hulltest.NeedRoot(t)
	v, p := open(t), pod(emptyDir("a"))
	if err := v.Make(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	root := v.Locations(p)[0].Path
	outside := t.TempDir()
	precious := filepath.Join(outside, "precious")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(precious, nil, 0o600))
	must(os.Symlink(outside, filepath.Join(root, "link")))
	must(os.Mkdir(filepath.Join(root, ".removed-1"), 0o700))
	must(os.WriteFile(filepath.Join(root, ".removed-2"), nil, 0o000))
	must(unix.Mkfifo(filepath.Join(root, "fifo"), 0o600))
	must(os.MkdirAll(filepath.Join(root, "locked", "in"), 0o700))
	must(os.Chmod(filepath.Join(root, "locked"), 0))
	for i := range 3 * namesAtOnce {
		must(os.WriteFile(filepath.Join(root, fmt.Sprintf("wide-%d", i)), nil, 0o600))
	}
	deep(t, root, 3000)
	for _, d := range []string{"mnt", "locked/in/mnt"} { // as a privileged container with Bidirectional propagation can
		dir := filepath.Join(root, d)
		must(os.MkdirAll(dir, 0o700))
		must(unix.Mount(outside, dir, "", unix.MS_BIND, ""))
	}
	file := filepath.Join(root, "file")
	must(os.WriteFile(file, nil, 0o600))
	must(unix.Mount(precious, file, "", unix.MS_BIND, ""))
	must(unix.Mount(precious, file, "", unix.MS_BIND, "")) // twice
	forget(t, v)
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("removed what was mounted or linked: %v", err)
	}
}

// deep makes directories in each other, deeper than a path can tell.
func deep(t *testing.T, dir string, n int) {
	t.Helper()
	name := strings.Repeat("d", 200)
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := unix.Mkdirat(int(f.Fd()), name, 0o700); err != nil {
			t.Fatal(err)
		}
		fd, err := unix.Openat(int(f.Fd()), name, unix.O_PATH|unix.O_CLOEXEC, 0)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		f = os.NewFile(uintptr(fd), name)
	}
	_ = f.Close()
}
