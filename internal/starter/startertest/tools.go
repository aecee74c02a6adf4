// Package startertest is what every starter is held to, and what tests of starters share.
package startertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

// BusyboxRoot is a directory with a static busybox under all of its names.
func BusyboxRoot(t testing.TB) string {
	t.Helper()
	const box = "/bin/busybox"
	data, err := os.ReadFile(box)
	if err != nil {
		t.Skipf("install busybox-static: %v", err)
	}
	dir := t.TempDir()
	for _, d := range []string{"bin", "etc", "tmp", "root", "proc", "sys", "dev"} {
		Must(t, os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	Must(t, os.WriteFile(filepath.Join(dir, "bin/busybox"), data, 0o755))
	for _, name := range []string{
		"true", "false", "sh", "cat", "ls", "id", "echo", "mount", "umount", "grep", "sleep", "hostname", "readlink", "stat",
		"touch", "mkdir", "tty", "pwd", "ps", "kill", "env", "dd", "sysctl", "stty", "chmod", "ln", "rm", "head", "test", "mknod", "wc", "cp",
	} {
		Must(t, os.Symlink("busybox", filepath.Join(dir, "bin", name)))
	}
	Must(t, os.WriteFile(filepath.Join(dir, "etc/passwd"), []byte("root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"), 0o644))
	return dir
}

// Rootfs is a detached overlay over a directory.
func Rootfs(t testing.TB, lower string) *os.File {
	t.Helper()
	dir := t.TempDir()
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	Must(t, os.Mkdir(upper, 0o755))
	Must(t, os.Mkdir(work, 0o755))
	f, err := linux.Overlay(linux.OverlayOptions{Lower: []string{lower}, Upper: upper, Work: work, Volatile: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// Must ends a test that cannot go on.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Spec is a container's with everything on, from the same defaults as Hull's own.
func Spec(t testing.TB, c oci.Config) *oci.Spec {
	t.Helper()
	if c.Namespaces.Net.Kind == "" {
		c.Namespaces.Net.Kind = oci.NamespaceHost
	}
	caps, err := oci.HostCapabilities()
	Must(t, err)
	c.HostCapabilities = caps
	_, err = os.Stat("/sys/fs/cgroup/cgroup.controllers")
	c.CgroupV2 = err == nil
	s, err := oci.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Outcome of a container that has run to its end.
type Outcome struct {
	Status unix.WaitStatus
	Out    string
}

// Reap waits for a child of the test's.
func Reap(t testing.TB, p *starter.Process) unix.WaitStatus {
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

// Context gives a start a minute: one that hangs fails its test alone.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Run starts a container and waits for its end; its output is what it wrote to both streams.
func Run(t testing.TB, n starter.Starter, r starter.Request) (Outcome, error) {
	t.Helper()
	read, write, err := os.Pipe()
	Must(t, err)
	defer func() { _ = read.Close() }()
	if r.Stdout == nil {
		r.Stdout, r.Stderr = write, write
	}
	p, err := n.Start(Context(t), r)
	_ = write.Close()
	if err != nil {
		return Outcome{}, err
	}
	var out bytes.Buffer
	_, err = io.Copy(&out, read)
	Must(t, err)
	return Outcome{Reap(t, p), out.String()}, nil
}

// ReapStage reaps the first stage of a birth that forked, as the keeper does.
func ReapStage(t testing.TB) {
	t.Helper()
	for {
		var status unix.WaitStatus
		if pid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOHANG, nil); err != unix.EINTR && pid <= 0 {
			return
		}
	}
}

// ReapAll reaps until a process has ended: the first of a PID namespace cannot while another of it is unreaped.
func ReapAll(t testing.TB, p *starter.Process) {
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

// Running starts a container that sleeps until the test ends.
func Running(t testing.TB, n starter.Starter, r starter.Request) *starter.Process {
	t.Helper()
	p, err := n.Start(Context(t), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = linux.PidfdSignal(p.PIDFD, unix.SIGKILL)
		ReapAll(t, p)
	})
	return p
}

// ExecIn runs a command in a container and waits for its end.
func ExecIn(t testing.TB, n starter.Starter, c *starter.Process, s *oci.Spec, e oci.Exec, change func(*oci.Process)) (Outcome, error) {
	t.Helper()
	return ExecNamed(t, n, "c", c, s, e, change)
}

// ExecNamed is ExecIn for a starter that knows the container by a name of its own.
func ExecNamed(t testing.TB, n starter.Starter, name string, c *starter.Process, s *oci.Spec, e oci.Exec, change func(*oci.Process)) (Outcome, error) {
	t.Helper()
	p, err := oci.ExecProcess(s, e)
	Must(t, err)
	if change != nil {
		change(p)
	}
	read, write, err := os.Pipe()
	Must(t, err)
	defer func() { _ = read.Close() }()
	var born []int
	made, err := n.Exec(Context(t), starter.ExecRequest{
		Key: "e", Container: name, PID: c.PID, PIDFD: c.PIDFD, Spec: s, Process: p, Stdout: write, Stderr: write,
		Born: func(pid int) error { born = append(born, pid); return nil },
	})
	_ = write.Close()
	if err != nil {
		return Outcome{}, err
	}
	var from io.Reader = read
	if made.Console != nil {
		from = made.Console
		defer func() { _ = made.Console.Close() }()
	}
	var out bytes.Buffer
	_, err = io.Copy(&out, from)
	if err != nil && made.Console == nil { // a terminal ends with EIO
		t.Fatal(err)
	}
	if len(born) != 1 || born[0] != made.PID {
		t.Errorf("Born was told %v, the process is %d", born, made.PID)
	}
	status := Reap(t, made)
	ReapStage(t)
	return Outcome{status, out.String()}, nil
}

// Infra starts an infra process that ends with the test.
func Infra(t testing.TB, n starter.Starter, r starter.InfraRequest) *starter.Process {
	t.Helper()
	if len(r.UIDMappings) == 0 {
		netns, err := linux.NewNetns()
		Must(t, err)
		defer func() { _ = netns.Close() }()
		r.JoinNet, r.Netns = true, netns
	}
	p, err := n.Infra(Context(t), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = linux.PidfdSignal(p.PIDFD, unix.SIGKILL)
		Reap(t, p)
	})
	return p
}

// NSPath is one of a process' namespaces.
func NSPath(pid int, name string) string { return fmt.Sprintf("/proc/%d/ns/%s", pid, name) }

// Expect wants a command that succeeded and wrote this.
func Expect(t testing.TB, o Outcome, want string) {
	t.Helper()
	if o.Out != want || o.Status != 0 {
		t.Errorf("exit %v, output %q, want %q", o.Status, o.Out, want)
	}
}
