package linux

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

func openDir(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestOpenInStaysInside(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "passwd"), []byte("inside"), 0o644))
	must(t, os.Symlink("/passwd", filepath.Join(dir, "absolute")))
	must(t, os.Symlink("../../../../../passwd", filepath.Join(dir, "up")))
	must(t, os.Symlink("/proc/self/root/etc/passwd", filepath.Join(dir, "magic")))
	root := openDir(t, dir)
	for _, name := range []string{"passwd", "/passwd", "absolute", "up", "../../passwd"} {
		f, err := OpenIn(root, name, unix.O_RDONLY)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		buf := make([]byte, 10)
		if n, _ := f.Read(buf); string(buf[:n]) != "inside" {
			t.Errorf("%s: read %q", name, buf[:n])
		}
		_ = f.Close()
	}
	if _, err := OpenIn(root, "magic", unix.O_RDONLY); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a link to /proc, which is not inside: %v", err)
	}
	for name, want := range map[string]error{"absolute": unix.ELOOP, "up": unix.ELOOP, "../x": unix.EXDEV, "none": unix.ENOENT} {
		if _, err := OpenBeneath(root, name, unix.O_RDONLY); !errors.Is(err, want) {
			t.Errorf("beneath, %s: %v, want %v", name, err, want)
		}
	}
}

func TestOpenSource(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Symlink(dir, filepath.Join(dir, "link")))
	f, err := OpenSource(filepath.Join(dir, "link"))
	must(t, err)
	must(t, f.Close())
	if _, err := OpenSource("/proc/self/root"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a magic link: %v", err)
	}
}

func TestMakeTarget(t *testing.T) {
	dir := t.TempDir()
	outside := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "usr/lib"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "there"), 0o755))
	for name, to := range map[string]string{
		"lib": "usr/lib", "dangling": "/made/later", "out": "../../../.." + outside, "loop": "loop", "deep": "usr/../usr/lib/../../dangling/x",
	} {
		must(t, os.Symlink(to, filepath.Join(dir, name)))
	}
	root := openDir(t, dir)
	covered := func(p string) bool { return p == "there/mount" || len(p) > 12 && p[:12] == "there/mount/" }
	for _, c := range []struct{ path, want string }{
		{"/there", "there"}, {"/new/dir", "new/dir"}, {"lib/x/y", "usr/lib/x/y"}, {"dangling/z", "made/later/z"}, {"deep/q", "made/later/x/q"},
		{"/there/mount/a/b", "there/mount/a/b"}, {"a/../b", "b"}, {"out/in", outside[1:] + "/in"},
	} {
		got, err := MakeTarget(root, Target{Path: c.path, Dir: true, Covered: covered})
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.path, got, err, c.want)
			continue
		}
		_, err = os.Lstat(filepath.Join(dir, got))
		if made := err == nil; made == covered(got) {
			t.Errorf("%s: made: %v", c.path, made)
		}
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("outside: %v, %v", entries, err)
	}
	got, err := MakeTarget(root, Target{Path: "etc/file"})
	if st, serr := os.Lstat(filepath.Join(dir, "etc/file")); err != nil || got != "etc/file" || serr != nil || !st.Mode().IsRegular() {
		t.Errorf("a file: %q, %v, %v", got, err, serr)
	}
	if _, err := MakeTarget(root, Target{Path: "loop/x", Dir: true}); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
	if _, err := MakeTarget(root, Target{Path: "etc/file/x", Dir: true}); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}

func TestMakeTargetOwner(t *testing.T) {
	hulltest.NeedRoot(t)
	dir := t.TempDir()
	_, err := MakeTarget(openDir(t, dir), Target{Path: "a/b", UID: 200000, GID: 200001})
	must(t, err)
	for _, name := range []string{"a", "a/b"} {
		var st unix.Stat_t
		must(t, unix.Stat(filepath.Join(dir, name), &st))
		if st.Uid != 200000 || st.Gid != 200001 {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
	}
}

func TestALookupThatIsAlwaysDisturbedEnds(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EAGAIN, unix.EINTR} {
		calls := 0
		_, err := retry(func() (int, error) {
			if calls++; calls > 10*maxTries {
				t.Fatal("it is tried without end")
			}
			return -1, errno
		})
		if !errors.Is(err, errno) || calls != maxTries {
			t.Errorf("%v after %d tries", err, calls)
		}
	}
	calls := 0
	if n, err := retry(func() (int, error) {
		if calls++; calls == 1 {
			return -1, unix.EAGAIN
		}
		return 7, nil
	}); n != 7 || err != nil || calls != 2 {
		t.Errorf("%d, %v after %d calls", n, err, calls)
	}
}
