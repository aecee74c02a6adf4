package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/hulltest"
)

const uid = types.UID("0b1e6b0a-0000-4000-8000-000000000001")

// open makes Volumes in directories of the test. Whatever a test leaves mounted there is its failure.
func open(t *testing.T) *Volumes {
	t.Helper()
	base := t.TempDir()
	v, err := Open(Config{Root: filepath.Join(base, "root"), State: filepath.Join(base, "state"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, m := range mountsBelow(t, base) {
			t.Errorf("%s is still mounted", m)
			_ = unix.Unmount(m, unix.MNT_DETACH)
		}
	})
	return v
}

func mountsBelow(t *testing.T, dir string) []string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.SplitSeq(string(data), "\n") {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			list = append(list, f[4])
		}
	}
	return list
}

func pod(vols ...v1.Volume) *v1.Pod {
	p := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: uid}}
	p.Spec.Volumes = vols
	return p
}

func emptyDir(name string) v1.Volume {
	return v1.Volume{Name: name, VolumeSource: v1.VolumeSource{EmptyDir: &v1.EmptyDirVolumeSource{}}}
}

func memory(name, limit string) v1.Volume {
	v := emptyDir(name)
	v.EmptyDir.Medium = v1.StorageMediumMemory
	if limit != "" {
		v.EmptyDir.SizeLimit = new(resource.MustParse(limit))
	}
	return v
}

func hostPath(path string, kind v1.HostPathType) v1.Volume {
	return v1.Volume{Name: "h", VolumeSource: v1.VolumeSource{HostPath: &v1.HostPathVolumeSource{Path: path, Type: &kind}}}
}

func container(mounts ...v1.VolumeMount) *v1.Container {
	return &v1.Container{Name: "c", VolumeMounts: mounts}
}

func forget(t *testing.T, v *Volumes) {
	t.Helper()
	if err := v.Forget(t.Context(), uid); err != nil {
		t.Fatal(err)
	}
	left, err := v.List()
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// inode is what a mount would show.
func inode(t *testing.T, f *os.File) uint64 {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func mountOne(t *testing.T, v *Volumes, p *v1.Pod, m v1.VolumeMount) (Mount, error) {
	t.Helper()
	list, err := v.Mounts(p, container(m))
	if err != nil {
		return Mount{}, err
	}
	t.Cleanup(func() { _ = list[0].File.Close() })
	return list[0], nil
}

func TestEmptyDir(t *testing.T) {
	hulltest.NeedRoot(t)
	v, p := open(t), pod(emptyDir("a"), emptyDir("b"))
	p.Spec.SecurityContext = &v1.PodSecurityContext{FSGroup: new(int64(4321))}
	if err := v.Make(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	path := v.Locations(p)[0].Path
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); info.Mode() != os.ModeDir|os.ModeSetgid|0o777 || st.Gid != 4321 {
		t.Errorf("%s: %v, group %d", path, info.Mode(), st.Gid)
	}
	if err := os.WriteFile(filepath.Join(path, "kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := v.Make(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(path, "kept")); err != nil {
		t.Errorf("making it again emptied it: %v", err)
	}
	m, err := mountOne(t, v, p, v1.VolumeMount{Name: "a", MountPath: "data", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if m.Destination != "/data" || !m.ReadOnly || m.Propagation != "" || inode(t, m.File) != hulltest.Inode(t, path) {
		t.Errorf("mount %+v", m)
	}
	if err := v.Remove(t.Context(), uid); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the removal: %v", err)
	}
	forget(t, v)
	forget(t, v) // again is no error
}

func statfs(t *testing.T, path string) (kind, size int64) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Type), int64(st.Blocks) * st.Bsize
}

func TestMemory(t *testing.T) {
	hulltest.NeedRoot(t)
	for _, tc := range []struct {
		name   string
		vols   []v1.Volume
		mounts int
		sizes  []int64 // 0: not looked at
	}{
		{"one with a limit", []v1.Volume{memory("a", "1Mi")}, 1, []int64{1 << 20}},
		{"several without share one", []v1.Volume{memory("a", ""), memory("b", ""), emptyDir("c")}, 1, []int64{0, 0}},
		{"a limit is one volume's alone", []v1.Volume{memory("a", "1Mi"), memory("b", "2Mi"), memory("c", "")}, 3, []int64{1 << 20, 2 << 20, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, p := open(t), pod(tc.vols...)
			p.Spec.SecurityContext = &v1.PodSecurityContext{FSGroup: new(int64(4321))}
			for range 2 { // the second changes nothing
				if err := v.Make(t.Context(), p); err != nil {
					t.Fatal(err)
				}
				if got := mountsBelow(t, v.cfg.State); len(got) != tc.mounts {
					t.Fatalf("mounts %v, want %d", got, tc.mounts)
				}
			}
			for i, want := range tc.sizes {
				l := v.Locations(p)[i]
				kind, size := statfs(t, l.Path)
				if kind != unix.TMPFS_MAGIC || (want != 0 && size != want) {
					t.Errorf("%s: file system %x of %d bytes, want %d", l.Name, kind, size, want)
				}
				info, err := os.Stat(l.Path)
				if err != nil || info.Mode() != os.ModeDir|os.ModeSetgid|0o777 || info.Sys().(*syscall.Stat_t).Gid != 4321 {
					t.Errorf("%s: %v %v", l.Name, info, err)
				}
			}
			forget(t, v)
		})
	}
}

func TestMemoryLimitOfThePod(t *testing.T) {
	p := pod(memory("a", ""))
	p.Spec.Containers = []v1.Container{{Resources: v1.ResourceRequirements{Limits: v1.ResourceList{"memory": resource.MustParse("64Mi")}}}}
	if got := memorySize(p, &p.Spec.Volumes[0]); got != 64<<20 {
		t.Errorf("limited to %d", got)
	}
	p.Spec.Containers = append(p.Spec.Containers, v1.Container{})
	if got := memorySize(p, &p.Spec.Volumes[0]); got <= 64<<20 {
		t.Errorf("a container without a limit leaves %d", got)
	}
}

func TestHostPathTypes(t *testing.T) {
	hulltest.NeedRoot(t)
	dir := t.TempDir()
	file, sock := filepath.Join(dir, "file"), filepath.Join(dir, "sock")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	block := filepath.Join(dir, "block")
	if err := unix.Mknod(block, unix.S_IFBLK|0o600, int(unix.Mkdev(7, 0))); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none")
	for _, tc := range []struct {
		path string
		kind v1.HostPathType
		want string
	}{
		{dir, v1.HostPathDirectory, ""},
		{dir, v1.HostPathDirectoryOrCreate, ""},
		{file, v1.HostPathFile, ""},
		{file, v1.HostPathFileOrCreate, ""},
		{sock, v1.HostPathSocket, ""},
		{"/dev/null", v1.HostPathCharDev, ""},
		{block, v1.HostPathBlockDev, ""},
		{none, v1.HostPathUnset, ""},
		{file, v1.HostPathDirectory, "hostPath type check failed: " + file + " is not a directory, it's a File"},
		{file, v1.HostPathDirectoryOrCreate, "hostPath type check failed: " + file + " is not a directory, it's a File"},
		{dir, v1.HostPathFile, "hostPath type check failed: " + dir + " is not a file, it's a Directory"},
		{dir, v1.HostPathFileOrCreate, "hostPath type check failed: " + dir + " is not a file, it's a Directory"},
		{file, v1.HostPathSocket, "hostPath type check failed: " + file + " is not a socket file, it's a File"},
		{block, v1.HostPathCharDev, "hostPath type check failed: " + block + " is not a character device, it's a BlockDevice"},
		{"/dev/null", v1.HostPathBlockDev, "hostPath type check failed: /dev/null is not a block device, it's a CharDevice"},
		{none, v1.HostPathDirectory, "hostPath type check failed, " + none + " is not a directory, unable to determine its type: path \"" + none + "\" does not exist"},
		{dir, "Nonsense", "Nonsense is an invalid volume type"},
		{dir + "/../x", v1.HostPathUnset, "invalid HostPath `" + dir + "/../x`: must not contain '..'"},
		{"relative", v1.HostPathUnset, "invalid HostPath `relative`: must be an absolute path"},
	} {
		err := open(t).Make(t.Context(), pod(hostPath(tc.path, tc.kind)))
		got := ""
		if ve := (*Error)(nil); errors.As(err, &ve) {
			got = ve.Err.Error()
		}
		if got != tc.want {
			t.Errorf("%s as %q: %q, want %q", tc.path, tc.kind, got, tc.want)
		}
	}
	if _, err := os.Stat(none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a check made %s: %v", none, err)
	}
}

func TestHostPathIsMade(t *testing.T) {
	hulltest.NeedRoot(t)
	dir := t.TempDir()
	v := open(t)
	for _, tc := range []struct {
		name string
		kind v1.HostPathType
		mode os.FileMode
	}{
		{"a/b", v1.HostPathDirectoryOrCreate, os.ModeDir | 0o755},
		{"f", v1.HostPathFileOrCreate, 0o644},
		{"c/d", v1.HostPathUnset, os.ModeDir | 0o755},
	} {
		path := filepath.Join(dir, tc.name)
		p := pod(hostPath(path, tc.kind))
		if err := v.Make(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		m, err := mountOne(t, v, p, v1.VolumeMount{Name: "h", MountPath: "/h"})
		if err != nil {
			t.Fatal(err)
		}
		if info, err := m.File.Stat(); err != nil || info.Mode() != tc.mode || m.File.Name() != path {
			t.Errorf("%s: %v %v", path, info, err)
		}
		forget(t, v)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the host's own went with the Pod: %v", err)
		}
	}
	// What was a directory when the Pod began is a file when its container does.
	path := filepath.Join(dir, "turns")
	p := pod(hostPath(path, v1.HostPathDirectoryOrCreate))
	if err := errors.Join(v.Make(t.Context(), p), os.Remove(path), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := mountOne(t, v, p, v1.VolumeMount{Name: "h", MountPath: "/h"}); err == nil || !strings.HasPrefix(err.Error(), "hostPath type check failed: ") {
		t.Errorf("changed meanwhile: %v", err)
	}
}

func TestMountErrors(t *testing.T) {
	v := open(t)
	p := pod(emptyDir("a"))
	for _, tc := range []struct {
		m    v1.VolumeMount
		want string
	}{
		{v1.VolumeMount{Name: "b"}, `cannot find volume "b" to mount into container "c"`},
		{v1.VolumeMount{Name: "a", RecursiveReadOnly: new(v1.RecursiveReadOnlyEnabled)}, `failed to resolve recursive read-only mode: volume "a" requested recursive read-only mode, but it is not read-only`},
		{v1.VolumeMount{Name: "a", SubPathExpr: "$(X)"}, `subPathExpr of volumeMount "a" of container "c" cannot be expanded here`},
	} {
		if _, err := v.Mounts(p, container(tc.m)); err == nil || err.Error() != tc.want {
			t.Errorf("%+v: %v, want %s", tc.m, err, tc.want)
		}
	}
	err := v.Make(t.Context(), pod(v1.Volume{Name: "n", VolumeSource: v1.VolumeSource{NFS: &v1.NFSVolumeSource{}}}))
	if err == nil || err.Error() != `volume "n": no volume plugin matched` {
		t.Errorf("a kind that is not there: %v", err)
	}
	evil := pod()
	evil.UID = "../../etc"
	if err := errors.Join(v.Make(t.Context(), evil), v.Remove(t.Context(), evil.UID)); err == nil {
		t.Error("a UID that leads elsewhere is accepted")
	}
}

// TestFailpoints fails, and tries, at each step: nothing is left behind, and the next attempt succeeds.
func TestFailpoints(t *testing.T) {
	hulltest.NeedRoot(t)
	t.Cleanup(func() { _ = failpoint.Set("") })
	for _, point := range []string{fpDir.Name(), fpLeaf.Name(), fpTmpfs.Name()} {
		for n := 1; ; n++ {
			v, p := open(t), pod(emptyDir("a"), emptyDir("b"), memory("m", "1Mi"), memory("n", ""))
			if err := failpoint.Set(fmt.Sprintf("%s=error@%d", point, n)); err != nil {
				t.Fatal(err)
			}
			err := v.Make(t.Context(), p)
			if err == nil {
				if n == 1 {
					t.Errorf("%s is never hit", point)
				}
				if err := failpoint.Set(""); err != nil {
					t.Fatal(err)
				}
				forget(t, v)
				break
			}
			if !errors.Is(err, failpoint.ErrInjected) {
				t.Fatal(err)
			}
			if left, err := v.List(); err != nil || len(left) != 0 {
				t.Errorf("%s, hit %d: left %v %v", point, n, left, err)
			}
			if err := v.Make(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			forget(t, v)
		}
	}
	for _, point := range []string{fpRemoveDisk.Name(), fpRemoveMemory.Name()} {
		v, p := open(t), pod(emptyDir("a"), memory("m", "1Mi"))
		if err := errors.Join(v.Make(t.Context(), p), failpoint.Set(point+"=error")); err != nil {
			t.Fatal(err)
		}
		if err := v.Forget(t.Context(), uid); !errors.Is(err, failpoint.ErrInjected) {
			t.Errorf("%s: %v", point, err)
		}
		forget(t, v)
	}
}

func TestCutShort(t *testing.T) {
	hulltest.NeedRoot(t)
	v, p := open(t), pod(emptyDir("a"))
	// As if the daemon had died between making and naming a volume.
	if err := os.MkdirAll(filepath.Join(v.disk(uid), "volumes", ".new-a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := v.Make(context.WithoutCancel(t.Context()), p); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(v.Locations(p)[0].Path); err != nil || info.Mode() != os.ModeDir|0o777 {
		t.Errorf("%v %v", info, err)
	}
	forget(t, v)
}

// TestGivenUp: when its Pod ends, nothing more is made, and what was is taken back.
func TestGivenUp(t *testing.T) {
	v := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Make(ctx, pod(emptyDir("data"))); !errors.Is(err, context.Canceled) {
		t.Errorf("make: %v", err)
	}
	if uids, err := v.List(); err != nil || len(uids) > 0 {
		t.Errorf("left: %v, %v", uids, err)
	}
}

func TestTermination(t *testing.T) {
	v := open(t)
	f, err := v.TerminationFile(uid, "c")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || info.Mode() != 0o666 {
		t.Errorf("%v %v", info, err)
	}
	for _, tc := range []struct{ written, want string }{
		{"", ""}, {"bye\n", "bye\n"}, {"x" + strings.Repeat("y", maxMessage), strings.Repeat("y", maxMessage)},
	} {
		if err := os.WriteFile(f.Name(), []byte(tc.written), 0o666); err != nil {
			t.Fatal(err)
		}
		if got, err := TerminationMessage(f.Name()); err != nil || got != tc.want {
			t.Errorf("message %.20q… %v", got, err)
		}
	}
	if err := errors.Join(v.Remove(t.Context(), uid)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.Name()); err != nil {
		t.Errorf("the message went with the volumes: %v", err)
	}
	if err := errors.Join(RemoveTerminationFile(f.Name()), RemoveTerminationFile(f.Name())); err != nil {
		t.Error(err)
	}
	if got, err := TerminationMessage(f.Name()); got != "" || err != nil {
		t.Errorf("no file: %q %v", got, err)
	}
	if err := os.Symlink("/etc/passwd", f.Name()); err != nil {
		t.Fatal(err)
	}
	if got, err := TerminationMessage(f.Name()); got != "" || err == nil {
		t.Errorf("a symlink: %q %v", got, err)
	}
	forget(t, v)
}

func TestUsage(t *testing.T) {
	hulltest.NeedRoot(t)
	limit := emptyDir("a")
	limit.EmptyDir.SizeLimit = new(resource.MustParse("1Mi"))
	v, p := open(t), pod(emptyDir("b"), limit)
	if err := v.Make(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	defer forget(t, v)
	exceeded := func(want string) {
		t.Helper()
		if got, err := v.Exceeded(t.Context(), p); err != nil || got != want {
			t.Errorf("%q %v, want %q", got, err, want)
		}
	}
	path := v.Locations(p)[1].Path
	big := make([]byte, 600<<10)
	if err := errors.Join(
		os.MkdirAll(filepath.Join(path, "x", "y"), 0o755),
		os.WriteFile(filepath.Join(path, "x", "y", "one"), big, 0o600),
		os.Link(filepath.Join(path, "x", "y", "one"), filepath.Join(path, "again")),
		os.Symlink("/usr", filepath.Join(path, "usr")),
		os.WriteFile(filepath.Join(v.Locations(p)[0].Path, "another volume"), make([]byte, 2<<20), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	exceeded("")
	if err := os.WriteFile(filepath.Join(path, "two"), big, 0o600); err != nil {
		t.Fatal(err)
	}
	const full = `Usage of EmptyDir volume "a" exceeds the limit "1Mi". `
	exceeded(full)
	if err := os.Remove(filepath.Join(path, "two")); err != nil {
		t.Fatal(err)
	}
	exceeded("")
	deep(t, path, maxDepth+2) // nobody hides in the depth
	exceeded(full)
	if !Limited(p) || Limited(pod(emptyDir("b"), memory("m", "1Mi"))) {
		t.Error("Limited is wrong")
	}
}

// TestLostAndFound: where the volumes have a file system of their own, its directory is no Pod's leftover.
func TestLostAndFound(t *testing.T) {
	hulltest.NeedRoot(t)
	v := open(t)
	if err := os.Mkdir(filepath.Join(v.cfg.Root, lostAndFound), 0o700); err != nil {
		t.Fatal(err)
	}
	if uids, err := v.List(); err != nil || len(uids) != 0 {
		t.Errorf("Pods: %v, %v", uids, err)
	}
}

func TestAFileOfManyNamesCountsOnce(t *testing.T) {
	dir := t.TempDir()
	const names, size = 70, 600 << 10
	if err := os.WriteFile(filepath.Join(dir, "0"), make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < names; i++ {
		if err := os.Link(filepath.Join(dir, "0"), filepath.Join(dir, strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := usage(t.Context(), dir); err != nil || got < size || got > size+64<<10 {
		t.Errorf("%d bytes, %v; want about %d", got, err, size)
	}
}
