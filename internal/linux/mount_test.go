package linux

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inMountNamespace runs fn on a thread with a mount namespace of its own, which ends with it.
func inMountNamespace(t *testing.T, fn func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	must(t, <-done)
}

func TestNewMount(t *testing.T) {
	hulltest.NeedRoot(t)
	m, err := NewMount("tmpfs", "mine", unix.MOUNT_ATTR_NOEXEC, KeyValue("size", "64k"), KeyValue("mode", "700"))
	must(t, err)
	defer func() { _ = m.Close() }()
	var st unix.Statfs_t
	must(t, unix.Fstatfs(int(m.Fd()), &st))
	if st.Blocks*uint64(st.Bsize) != 64<<10 || st.Flags&unix.MS_NOEXEC == 0 {
		t.Errorf("got %+v", st)
	}
	_, err = NewMount("tmpfs", "mine", 0, KeyValue("size", "many"))
	if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "size=many") {
		t.Errorf("a bad option: %v", err)
	}
	if _, err = NewMount("nosuchfs", "", 0); !errors.Is(err, unix.ENODEV) {
		t.Errorf("an unknown file system: %v", err)
	}
}

func TestCloneSetAttachDetach(t *testing.T) {
	hulltest.NeedRoot(t)
	source, at := t.TempDir(), t.TempDir()
	inMountNamespace(t, func() error {
		f, err := OpenSource(source)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		tree, err := CloneTree(f, true)
		if err != nil {
			return err
		}
		defer func() { _ = tree.Close() }()
		if err := SetMount(tree, true, Attributes{Set: unix.MOUNT_ATTR_RDONLY, Propagation: unix.MS_PRIVATE}); err != nil {
			return err
		}
		target, err := OpenSource(at)
		if err != nil {
			return err
		}
		defer func() { _ = target.Close() }()
		if err := Attach(tree, target); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(source, "f"), nil, 0o644); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(at, "f")); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(at, "g"), nil, 0o644); !errors.Is(err, unix.EROFS) {
			return fmt.Errorf("write into a read-only mount: %w", err)
		}
		if err := Detach(at); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(at, "f")); !os.IsNotExist(err) {
			return fmt.Errorf("after Detach: %w", err)
		}
		return Detach(at) // no mount is no error
	})
}

// layers makes n directories, each with a file of its number and one that all have.
func layers(t *testing.T, n int) []string {
	t.Helper()
	base := t.TempDir()
	var dirs []string
	for i := range n {
		dir := filepath.Join(base, fmt.Sprintf("layer%d", i))
		must(t, os.Mkdir(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644))
		must(t, os.WriteFile(filepath.Join(dir, "all"), []byte(fmt.Sprint(i)), 0o644))
		dirs = append(dirs, dir)
	}
	return dirs
}

// checkOverlay reads through a detached overlay and writes into it.
func checkOverlay(t *testing.T, f *os.File, layers int, upper string) {
	t.Helper()
	for i := range layers {
		if _, err := os.Stat(filepath.Join(fdPath(f), fmt.Sprint(i))); err != nil {
			t.Errorf("layer %d: %v", i, err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(fdPath(f), "all")); err != nil || string(got) != "0" {
		t.Errorf("the file of the top layer: %q, %v", got, err)
	}
	err := os.WriteFile(filepath.Join(fdPath(f), "new"), []byte("x"), 0o644)
	if upper == "" {
		if !errors.Is(err, unix.EROFS) {
			t.Errorf("write without an upper directory: %v", err)
		}
		return
	}
	must(t, err)
	if _, err := os.Stat(filepath.Join(upper, "new")); err != nil {
		t.Errorf("what was written is not in the upper directory: %v", err)
	}
}

func fdPath(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }

func upperAndWork(t *testing.T) (upper, work string) {
	t.Helper()
	// A name that overlay's own syntax would cut apart.
	base := filepath.Join(t.TempDir(), `a:b,c\d`)
	upper, work = filepath.Join(base, "upper"), filepath.Join(base, "work")
	must(t, os.MkdirAll(upper, 0o755))
	must(t, os.MkdirAll(work, 0o755))
	return upper, work
}

func TestOverlay(t *testing.T) {
	hulltest.NeedRoot(t)
	for _, n := range []int{1, 3, 60} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			lower := layers(t, n)
			upper, work := upperAndWork(t)
			f, err := Overlay(OverlayOptions{Lower: lower, Upper: upper, Work: work, Volatile: true})
			must(t, err)
			defer func() { _ = f.Close() }()
			checkOverlay(t, f, n, upper)
		})
	}
	f, err := Overlay(OverlayOptions{Lower: layers(t, 2)})
	must(t, err)
	defer func() { _ = f.Close() }()
	checkOverlay(t, f, 2, "")
	if _, err := Overlay(OverlayOptions{Lower: []string{"/no/such/layer", "/no/such/other"}}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a missing layer: %v", err)
	}
}

// The second ways, for kernels that do not take layers one by one.
func TestOverlayOfAList(t *testing.T) {
	hulltest.NeedRoot(t)
	for n, makeOne := range map[int]func(OverlayOptions) (*os.File, error){
		3:  func(o OverlayOptions) (*os.File, error) { return overlay(o, layerList) },
		12: func(o OverlayOptions) (*os.File, error) { return overlay(o, layerList) },
		60: overlayByMount,
	} {
		upper, work := upperAndWork(t)
		o := OverlayOptions{Lower: layers(t, n), Upper: upper, Work: work, Volatile: true}
		f, err := makeOne(o)
		must(t, err)
		checkOverlay(t, f, n, upper)
		_ = f.Close()
	}
	if _, err := overlay(OverlayOptions{Lower: layers(t, 60)}, layerList); !errors.Is(err, errLongLayers) {
		t.Errorf("a long list: %v", err)
	}
}

func TestOverlayOfMounts(t *testing.T) {
	hulltest.NeedRoot(t)
	for name, makeOne := range map[string]func(OverlayOptions) (*os.File, error){"by descriptor": Overlay, "in a namespace aside": overlayByMount} {
		t.Run(name, func(t *testing.T) {
			lower := layers(t, 2)
			upper, work := upperAndWork(t)
			var mounts []*os.File
			for _, dir := range lower {
				f, err := OpenSource(dir)
				must(t, err)
				defer func() { _ = f.Close() }()
				m, err := CloneTree(f, false)
				must(t, err)
				defer func() { _ = m.Close() }()
				mounts = append(mounts, m)
			}
			f, err := makeOne(OverlayOptions{LowerMounts: mounts, Upper: upper, Work: work, Volatile: true})
			must(t, err)
			defer func() { _ = f.Close() }()
			checkOverlay(t, f, 2, upper)
		})
	}
}

func TestPTY(t *testing.T) {
	hulltest.NeedRoot(t)
	pts, err := NewMount("devpts", "devpts", 0, KeyValue("ptmxmode", "0666"))
	must(t, err)
	defer func() { _ = pts.Close() }()
	if is, err := IsDevPTS(pts); err != nil || !is {
		t.Errorf("IsDevPTS: %v, %v", is, err)
	}
	master, slave, err := OpenPTY(pts)
	must(t, err)
	defer func() { _ = master.Close(); _ = slave.Close() }()
	_, err = master.WriteString("line\n")
	must(t, err)
	buf := make([]byte, 16)
	n, err := slave.Read(buf)
	if err != nil || string(buf[:n]) != "line\n" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	other, err := NewMount("tmpfs", "", 0)
	must(t, err)
	defer func() { _ = other.Close() }()
	if is, err := IsDevPTS(other); err != nil || is {
		t.Errorf("IsDevPTS of a tmpfs: %v, %v", is, err)
	}
	if _, _, err := OpenPTY(other); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a terminal in a tmpfs: %v", err)
	}
}
