package starter

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// newNative is a native starter whose processes are the test's own children.
func newNative(t testing.TB) *Native {
	t.Helper()
	hulltest.NeedRoot(t)
	n, err := NewNative(Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Own: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// busyboxRoot is a directory with a static busybox under all of its names.
func busyboxRoot(t testing.TB) string {
	t.Helper()
	const box = "/bin/busybox"
	data, err := os.ReadFile(box)
	if err != nil {
		t.Skipf("install busybox-static: %v", err)
	}
	dir := t.TempDir()
	for _, d := range []string{"bin", "etc", "tmp", "root", "proc", "sys", "dev"} {
		must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	must(t, os.WriteFile(filepath.Join(dir, "bin/busybox"), data, 0o755))
	for _, name := range []string{
		"true", "false", "sh", "cat", "ls", "id", "echo", "mount", "umount", "grep", "sleep", "hostname", "readlink", "stat",
		"touch", "mkdir", "tty", "pwd", "ps", "kill", "env", "dd", "sysctl", "stty", "chmod", "ln", "rm", "head", "test", "mknod", "wc", "cp",
	} {
		must(t, os.Symlink("busybox", filepath.Join(dir, "bin", name)))
	}
	must(t, os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"), 0o644))
	return dir
}

// rootfs is a detached overlay over a directory.
func rootfs(t testing.TB, lower string) *os.File {
	t.Helper()
	dir := t.TempDir()
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	must(t, os.Mkdir(upper, 0o755))
	must(t, os.Mkdir(work, 0o755))
	f, err := linux.Overlay(linux.OverlayOptions{Lower: []string{lower}, Upper: upper, Work: work, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spec is a container's with everything on, from the same defaults as Hull's own.
func spec(t testing.TB, c oci.Config) *oci.Spec {
	t.Helper()
	if c.Namespaces.Net.Kind == "" {
		c.Namespaces.Net.Kind = oci.NamespaceHost
	}
	caps, err := oci.HostCapabilities()
	must(t, err)
	c.HostCapabilities = caps
	s, err := oci.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// outcome of a container that has run to its end.
type outcome struct {
	status unix.WaitStatus
	out    string
}

// reap waits for a child of the test's.
func reap(t testing.TB, p *Process) unix.WaitStatus {
	t.Helper()
	defer func() { _ = p.PIDFD.Close() }()
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(p.PID, &status, unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Fatalf("wait for %d: %v", p.PID, err)
		}
		return status
	}
}

func withTimeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// run starts a container and waits for its end; its output is what it wrote to both streams.
func run(t testing.TB, n Starter, r Request) (outcome, error) {
	t.Helper()
	read, write, err := os.Pipe()
	must(t, err)
	defer func() { _ = read.Close() }()
	if r.Stdout == nil {
		r.Stdout, r.Stderr = write, write
	}
	p, err := n.Start(withTimeout(t), r)
	_ = write.Close()
	if err != nil {
		return outcome{}, err
	}
	var out bytes.Buffer
	_, err = io.Copy(&out, read)
	must(t, err)
	return outcome{reap(t, p), out.String()}, nil
}

func TestTrue(t *testing.T) {
	n := newNative(t)
	s := spec(t, oci.Config{Args: []string{"/bin/true"}})
	o, err := run(t, n, Request{Key: "c1", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
	if err != nil {
		t.Fatal(err)
	}
	if !o.status.Exited() || o.status.ExitStatus() != 0 {
		t.Fatalf("exit %v, output %q", o.status, o.out)
	}
}

// reapStage reaps the first stage of a birth that forked, as the keeper does.
func reapStage(t testing.TB) {
	t.Helper()
	for {
		var status unix.WaitStatus
		if pid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOHANG, nil); err != unix.EINTR && pid <= 0 {
			return
		}
	}
}

// reapAll reaps until a process has ended: the first of a PID namespace cannot while another of it is unreaped.
func reapAll(t testing.TB, p *Process) {
	t.Helper()
	_ = p.PIDFD.Close()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if pid == p.PID {
			return
		}
		if err != nil && err != unix.EINTR {
			t.Fatalf("wait for %d: %v", p.PID, err)
		}
	}
}
