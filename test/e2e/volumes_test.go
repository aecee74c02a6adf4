package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/hulltest/live"
)

const mounts = `apiVersion: v1
kind: Pod
metadata: {name: mounts}
spec:
  terminationGracePeriodSeconds: 0
  volumes:
  - {name: disk, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: host, hostPath: {path: %q, type: Directory}}
  containers:
  - name: one
    image: localhost/hull/toolbox
    command: [sleep, infinity]
    volumeMounts:
    - {name: disk, mountPath: /disk}
    - {name: disk, mountPath: /part, subPath: deep/down}
    - {name: memory, mountPath: /memory}
    - {name: host, mountPath: /host, mountPropagation: HostToContainer}
    - {name: host, mountPath: /closed, readOnly: true, recursiveReadOnly: Enabled}
  - name: two
    image: localhost/hull/toolbox
    command: [sleep, infinity]
    volumeMounts:
    - {name: disk, mountPath: /disk, readOnly: true}
    - {name: memory, mountPath: /memory}
    - {name: host, mountPath: /host}
`

// TestVolumeMounts looks from outside at what each container has of the Pod's volumes.
func TestVolumeMounts(t *testing.T) {
	t.Parallel()
	hulltest.NeedRoot(t)
	h := live.Start(t, live.Pool())
	host := t.TempDir()
	tmpfs(t, host, "shared") // a mount of its own, which passes mounts on whatever the machine's root does
	tmpfs(t, filepath.Join(host, "before"), "private")
	r := h.RunInput(fmt.Sprintf(mounts, host), "run", "-d", "-")
	if r.Code != 0 {
		t.Fatalf("run: %s", r.Stderr)
	}
	in := inspect(t, h, "mounts")
	one, two := in.running(t, "one").PID, in.running(t, "two").PID

	if got, want := fileOf(t, one, "/part"), fileOf(t, one, "/disk/deep/down"); got != want {
		t.Errorf("the subPath is %v, and in the volume %v", got, want)
	}
	if got, want := fileOf(t, one, "/memory"), fileOf(t, two, "/memory"); got != want {
		t.Errorf("the memory of one is %v, of two %v", got, want)
	}
	if m := mountOn(t, one, "/memory"); !strings.Contains(m, "- tmpfs ") || !strings.Contains(m, "size=1024k") {
		t.Errorf("/memory: %s", m)
	}
	for pid, path := range map[int]string{two: "/disk", one: "/closed/before"} {
		if m := mountOn(t, pid, path); !strings.HasPrefix(strings.Fields(m)[5], "ro,") {
			t.Errorf("%s can be written: %s", path, m)
		}
	}
	r = h.Run("exec", "mounts", "-c", "one", "--", "sh", "-c", "echo x > /closed/before/x")
	if r.Code == 0 || !strings.Contains(r.Stderr, "read-only file system") {
		t.Errorf("a write below a mount that is read-only with all below it: %d, %s", r.Code, r.Stderr)
	}

	tmpfs(t, filepath.Join(host, "later"), "private")
	if m := mountOn(t, one, "/host/later"); !strings.Contains(m, "- tmpfs ") {
		t.Errorf("a later mount of the host is not seen with HostToContainer: %q", m)
	}
	if m := mountOn(t, two, "/host/later"); m != "" {
		t.Errorf("a later mount of the host is seen without propagation: %s", m)
	}
	h.Must("delete", "pod", "mounts")
}

// tmpfs mounts one for as long as the test lasts.
func tmpfs(t *testing.T, on, propagation string) {
	t.Helper()
	if err := os.MkdirAll(on, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", on, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(on, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", on, err)
		}
	})
	flag := uintptr(unix.MS_PRIVATE)
	if propagation == "shared" {
		flag = unix.MS_SHARED
	}
	if err := unix.Mount("", on, "", flag, ""); err != nil {
		t.Fatal(err)
	}
}

type file struct{ dev, ino uint64 }

// fileOf is what a process has at a path.
func fileOf(t *testing.T, pid int, path string) file {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/root%s", pid, path), &st); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return file{st.Dev, st.Ino}
}

// mountOn is the line of a process' mountinfo for a mount point, "" without one.
func mountOn(t *testing.T, pid int, point string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if strings.Fields(line)[4] == point {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
