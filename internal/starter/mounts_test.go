package starter_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

// shell runs a shell script in a container made from c.
func shell(t testing.TB, n starter.Starter, lower string, c oci.Config, script string) outcome {
	t.Helper()
	c.Args = []string{"sh", "-c", script}
	o, err := run(t, n, starter.Request{Key: "c", Spec: spec(t, c), Rootfs: rootfs(t, lower)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// hostTmpfs is a mount on the host for a test to share.
func hostTmpfs(t testing.TB, propagation uintptr) string {
	t.Helper()
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, ""))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	must(t, unix.Mount("", dir, "", propagation, ""))
	return dir
}

func TestVolumes(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	must(t, os.Symlink("/run/there", filepath.Join(lower, "dangling")))
	must(t, os.Symlink("../../../../../etc", filepath.Join(lower, "up")))
	a, b := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(a, "f"), []byte("of a\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(b, "f"), []byte("of b\n"), 0o644))
	mounts := []oci.Mount{
		{Source: a, Destination: "/data"},
		{Source: b, Destination: "/data/deep/er", ReadOnly: true},
		{Source: filepath.Join(b, "f"), Destination: "/etc/motd/new/file"},
		{Source: filepath.Join(b, "f"), Destination: "/etc/passwd", ReadOnly: true},
		{Source: a, Destination: "/dangling/x"},
		{Source: a, Destination: "/up/inside"},
		{Source: a, Destination: "/dev/vol/ume"},
		{Source: a, Destination: "/proc/fs"},
	}
	o := shell(t, n, lower, oci.Config{Mounts: mounts}, `
		cat /data/f /data/deep/er/f /etc/motd/new/file /etc/passwd /run/there/x/f /etc/inside/f /dev/vol/ume/f
		echo w >/data/written && echo w 2>/dev/null >/data/deep/er/written || echo refused
		echo w 2>/dev/null >/etc/passwd || echo refused`)
	expect(t, o, "of a\nof b\nof b\nof b\nof a\nof a\nof a\nrefused\nrefused\n")
	if got, err := os.ReadFile(filepath.Join(a, "written")); err != nil || string(got) != "w\n" {
		t.Errorf("what was written: %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(a, "deep/er")); err != nil {
		t.Errorf("the mount point inside the volume: %v", err)
	}
}

func TestSourcesByDescriptor(t *testing.T) {
	n := newNative(t)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("by descriptor\n"), 0o644))
	f, err := linux.OpenSource(filepath.Join(dir, "f"))
	must(t, err)
	defer func() { _ = f.Close() }()
	s := spec(t, oci.Config{Args: []string{"cat", "/etc/f"}, Mounts: []oci.Mount{{Source: "/no/such/file", Destination: "/etc/f"}}})
	o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t)), Sources: map[string]*os.File{"/etc/f": f}})
	must(t, err)
	expect(t, o, "by descriptor\n")
}

func TestReadOnlyIsRecursiveWhenAsked(t *testing.T) {
	n := newNative(t)
	dir := hostTmpfs(t, unix.MS_PRIVATE)
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	must(t, unix.Mount("tmpfs", filepath.Join(dir, "sub"), "tmpfs", 0, ""))
	const script = `touch /v/x 2>/dev/null && echo top; touch /v/sub/x 2>/dev/null && echo sub; true`
	lower := busyboxRoot(t)
	o := shell(t, n, lower, oci.Config{Mounts: []oci.Mount{{Source: dir, Destination: "/v", ReadOnly: true}}}, script)
	expect(t, o, "sub\n")
	o = shell(t, n, lower, oci.Config{Mounts: []oci.Mount{{Source: dir, Destination: "/v", ReadOnly: true, RecursiveReadOnly: true}}}, script)
	expect(t, o, "")
}

func TestPropagation(t *testing.T) {
	n := newNative(t)
	for _, c := range []struct {
		kind    oci.Propagation
		in, out bool // the host's later mounts are seen inside, the container's outside
	}{
		{oci.PropagationNone, false, false}, {oci.PropagationHostToContainer, true, false}, {oci.PropagationBidirectional, true, true},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			dir := hostTmpfs(t, unix.MS_SHARED)
			for _, d := range []string{"in", "out"} {
				must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
			}
			s := spec(t, oci.Config{Privileged: true, Mounts: []oci.Mount{{Source: dir, Destination: "/v", Propagation: c.kind}}, Args: []string{"sleep", "1000"}})
			p := running(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
			must(t, unix.Mount("tmpfs", filepath.Join(dir, "in"), "tmpfs", 0, ""))
			must(t, os.WriteFile(filepath.Join(dir, "in/f"), nil, 0o644))
			o, err := execIn(t, n, p, s, oci.Exec{Args: []string{"sh", "-c", "mount -t tmpfs x /v/out && touch /v/out/f; test -f /v/in/f"}}, nil)
			must(t, err)
			if got := o.Status == 0; got != c.in {
				t.Errorf("the container sees the host's mount: %v", got)
			}
			_, err = os.Stat(filepath.Join(dir, "out/f"))
			if got := err == nil; got != c.out {
				t.Errorf("the host sees the container's mount: %v", got)
			}
		})
	}
}

// TestPropagationBelow: an option for a mount alone leaves no mount below it a peer of the host's.
func TestPropagationBelow(t *testing.T) {
	n := newNative(t)
	for option, in := range map[string]bool{"private": false, "unbindable": false, "slave": true} {
		t.Run(option, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Mkdir(filepath.Join(dir, "below"), 0o755))
			below := filepath.Join(dir, "below")
			must(t, unix.Mount("tmpfs", below, "tmpfs", 0, ""))
			t.Cleanup(func() { _ = unix.Unmount(below, unix.MNT_DETACH) })
			must(t, unix.Mount("", below, "", unix.MS_SHARED, ""))
			for _, d := range []string{"in", "out"} {
				must(t, os.Mkdir(filepath.Join(below, d), 0o755))
			}
			s := spec(t, oci.Config{Privileged: true, Args: []string{"sleep", "1000"}})
			s.Mounts = append(s.Mounts, oci.SpecMount{Destination: "/v", Source: dir, Options: []string{"rbind", option}})
			p := running(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
			must(t, unix.Mount("tmpfs", filepath.Join(below, "in"), "tmpfs", 0, ""))
			must(t, os.WriteFile(filepath.Join(below, "in/f"), nil, 0o644))
			o, err := execIn(t, n, p, s, oci.Exec{Args: []string{"sh", "-c", "mount -t tmpfs x /v/below/out && touch /v/below/out/f; test -f /v/below/in/f"}}, nil)
			must(t, err)
			if got := o.Status == 0; got != in {
				t.Errorf("the container sees the host's mount: %v", got)
			}
			if _, err = os.Stat(filepath.Join(below, "out/f")); err == nil {
				t.Error("the host sees the container's mount")
			}
		})
	}
}

// TestFileSystemOfTheHost: the paths in a file system's options are the host's, whatever the container has there.
func TestFileSystemOfTheHost(t *testing.T) {
	n := newNative(t)
	a, b := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(a, "of-a"), []byte("a\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(b, "of-b"), []byte("b\n"), 0o644))
	s := spec(t, oci.Config{Args: []string{"sh", "-c", "cat /o/of-a /o/of-b; touch /o/x 2>/dev/null || echo refused; mount | grep ' /o ' | grep -c 'overlay (ro,nosuid'"}})
	s.Mounts = append(s.Mounts, oci.SpecMount{Destination: "/o", Type: "overlay", Source: "over", Options: []string{"lowerdir=" + a + ":" + b, "ro", "nosuid"}})
	o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
	must(t, err)
	expect(t, o, "a\nb\nrefused\n1\n")
}

// TestCopyUp: a tmpfs begins with what the root has there, and keeps what is written; one that is read-only holds mounts all the same.
func TestCopyUp(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	deep := filepath.Join(lower, "srv/deep")
	must(t, os.MkdirAll(deep, 0o750))
	must(t, os.WriteFile(filepath.Join(deep, "f"), []byte("copied\n"), 0o640))
	must(t, os.Chown(filepath.Join(deep, "f"), 7, 8))
	must(t, os.Symlink("/etc/passwd", filepath.Join(deep, "link")))
	must(t, os.Chmod(filepath.Join(lower, "srv"), 0o711))
	must(t, os.Symlink("srv", filepath.Join(lower, "by-link")))
	s := spec(t, oci.Config{Args: []string{"sh", "-c", `
		cat /srv/deep/f; stat -c '%a %u %g' /srv /srv/deep /srv/deep/f; readlink /srv/deep/link; echo w >/srv/w && cat /srv/w
		cat /etc/passwd | wc -l; touch /etc/x 2>/dev/null || echo refused; test -d /etc/new/dir && echo mounted; ls /nothing | wc -l
		mount | grep -cE ' /(srv|etc|nothing) type tmpfs'`}})
	up := func(destination string, options ...string) oci.SpecMount {
		return oci.SpecMount{Destination: destination, Type: "tmpfs", Source: "tmpfs", Options: append(options, "tmpcopyup")}
	}
	s.Mounts = append(s.Mounts, up("/by-link"), up("/etc", "ro"), up("/nothing"),
		oci.SpecMount{Destination: "/etc/new/dir", Source: t.TempDir(), Options: []string{"bind"}})
	o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)})
	must(t, err)
	expect(t, o, "copied\n711 0 0\n750 0 0\n640 7 8\n/etc/passwd\nw\n2\nrefused\nmounted\n0\n3\n")
	if _, err := os.Stat(filepath.Join(lower, "srv/w")); err == nil {
		t.Error("what was written into the tmpfs is in the root")
	}
}

// TestOptionsOfAFileSystemOnABind: mount(2) passes over them, and so do specs that come from it.
func TestOptionsOfAFileSystemOnABind(t *testing.T) {
	n := newNative(t)
	s := spec(t, oci.Config{Args: []string{"sh", "-c", "mount | grep -c ' /v .*noexec'"}})
	s.Mounts = append(s.Mounts, oci.SpecMount{
		Destination: "/v", Source: t.TempDir(), Options: []string{"bind", "sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "iversion", "noexec"},
	}, oci.SpecMount{Destination: "/t", Type: "tmpfs", Source: "t", Options: []string{"iversion", "sync"}})
	o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
	must(t, err)
	expect(t, o, "1\n")
}

// TestMountWithoutAPlace names the mount that has none.
func TestMountWithoutAPlace(t *testing.T) {
	n := newNative(t)
	s := spec(t, oci.Config{Args: []string{"true"}, Mounts: []oci.Mount{{Source: t.TempDir(), Destination: "/etc/passwd/x"}}})
	_, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
	if !errors.Is(err, unix.ENOTDIR) || !strings.Contains(err.Error(), "mount on /etc/passwd/x: ") {
		t.Errorf("got %v", err)
	}
}

func TestKernelFileSystems(t *testing.T) {
	n := newNative(t)
	o := shell(t, n, busyboxRoot(t), oci.Config{}, `
		grep -E ' (/proc|/dev|/dev/pts|/dev/shm|/dev/mqueue|/sys|/sys/fs/cgroup) ' /proc/self/mountinfo | while read a b c d at opts rest; do echo $at $opts; done
		ls -l /dev/fd /dev/stdin /dev/ptmx | while read a b c d e f g h i; do echo $i; done
		echo ok >/dev/null && head -c 2 /dev/zero | wc -c
		ls /dev
		touch /sys/x 2>/dev/null || echo no; touch /dev/shm/x && echo shm`)
	want := `/dev rw,nosuid
/dev/pts rw,nosuid,noexec,relatime
/dev/shm rw,nosuid,nodev,noexec,relatime
/dev/mqueue rw,nosuid,nodev,noexec,relatime
/sys ro,nosuid,nodev,noexec,relatime
/sys/fs/cgroup ro,nosuid,nodev,noexec,relatime
/proc rw,nosuid,nodev,noexec,relatime
`
	if !strings.HasPrefix(o.Out, want) || !strings.HasSuffix(o.Out, "no\nshm\n") || !strings.Contains(o.Out, "\n2\n") {
		t.Errorf("got %q", o.Out)
	}
}

func TestMaskedAndReadonlyPaths(t *testing.T) {
	n := newNative(t)
	const script = `
		wc -c </proc/interrupts; ls /sys/firmware | wc -l; ls /proc/scsi 2>/dev/null | wc -l
		echo 1 2>/dev/null >/proc/sys/kernel/panic || echo readonly
		mount | grep -c -E ' on (/proc/interrupts|/sys/firmware) '`
	lower := busyboxRoot(t)
	expect(t, shell(t, n, lower, oci.Config{}, script), "0\n0\n0\nreadonly\n2\n")
	o := shell(t, n, lower, oci.Config{UnmaskedProc: true}, `grep -q CPU0 /proc/interrupts && echo seen`)
	expect(t, o, "seen\n")
	o = shell(t, n, lower, oci.Config{MaskPaths: []string{"/etc/passwd", "/tmp", "/no/such", "/etc/passwd/x"}}, `wc -c </etc/passwd; touch /tmp/x 2>/dev/null || echo masked`)
	expect(t, o, "0\nmasked\n")
}

func TestReadonlyRoot(t *testing.T) {
	n := newNative(t)
	o := shell(t, n, busyboxRoot(t), oci.Config{ReadonlyRootfs: true}, `touch /x 2>/dev/null || echo refused; touch /dev/shm/x && echo shm`)
	expect(t, o, "refused\nshm\n")
}

func TestNoMountOfTheHostIsSeen(t *testing.T) {
	n := newNative(t)
	o := shell(t, n, busyboxRoot(t), oci.Config{}, `while read id parent dev root at rest; do echo $at; done </proc/self/mountinfo`)
	for _, at := range strings.Fields(o.Out) {
		if at != "/" && !strings.HasPrefix(at, "/proc") && !strings.HasPrefix(at, "/dev") && !strings.HasPrefix(at, "/sys") {
			t.Errorf("mount on %s", at)
		}
	}
	if strings.Count(o.Out, "/\n") != 1 {
		t.Errorf("roots in %q", o.Out)
	}
}
