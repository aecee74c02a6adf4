package starter_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

// TestRootHasNothingBelow has a container try what leads from a root to what may lie below it, and what a root that is not the mount
// namespace's own would be refused: with every right, for which it has an empty root of its own below, and with none, upon the one that
// all share, but every right in a user namespace that it makes.
func TestRootHasNothingBelow(t *testing.T) {
	n := newNative(t)
	for name, c := range map[string]struct{ script, want string }{
		"dot-dot from a working directory outside the root": {
			"mkdir /x && mount --rbind / /x && exec chroot /x sh -c 'cd -P /proc/self/fd/3 && cd -P ../../.. && ls mark; test -e x/mark && echo outside' 3</", "mark\noutside\n",
		},
		"moved":           {"mkdir /y && mount -t tmpfs y /y && mkdir /y/z && mount --move / /y/z 2>/dev/null || ls mark", "mark\n"},
		"user namespace":  {"unshare -U true && echo made", "made\n"},
		"mount namespace": {"unshare -m sh -c 'mount -t tmpfs x /mnt && echo made'", "made\n"},
		"pivot_root": {
			"mount -t tmpfs new /mnt && mkdir /mnt/old && mkdir /mnt/bin && cp /bin/busybox /mnt/bin/ && cd /mnt && pivot_root . old && exec /bin/busybox ls /old/mark", "/old/mark\n",
		},
		"what is mounted": {"grep -c ' / / ' /proc/self/mountinfo", "1\n"},
	} {
		for who, config := range map[string]oci.Config{
			"privileged":     {Args: []string{"sh", "-c", c.script}, Privileged: true},
			"user namespace": {Args: []string{"sh", "-c", `exec unshare -Urm sh -c "$0"`, c.script}},
		} {
			t.Run(name+"/"+who, func(t *testing.T) {
				lower := busyboxRoot(t)
				must(t, os.WriteFile(filepath.Join(lower, "mark"), nil, 0o644))
				must(t, os.MkdirAll(filepath.Join(lower, "mnt"), 0o755))
				s := spec(t, config)
				s.Linux.Seccomp = nil
				o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)})
				must(t, err)
				expect(t, o, c.want)
			})
		}
	}
}

// TestUnmountedRoot looks at what is left of a mount namespace whose root was unmounted.
func TestUnmountedRoot(t *testing.T) {
	n := newNative(t)
	s := spec(t, oci.Config{Args: []string{"sh", "-c", "exec 3</bin; umount -l / && echo done >&2 && sleep 1000"}, Privileged: true})
	s.Linux.Seccomp = nil
	read, write, err := os.Pipe()
	must(t, err)
	defer func() { _ = read.Close() }()
	p := running(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t)), Stderr: write})
	must(t, write.Close())
	if line, err := bufio.NewReader(read).ReadString('\n'); err != nil || line != "done\n" {
		t.Fatalf("the container says %q, %v", line, err)
	}
	ns, err := os.Open(nsPath(p.PID, "mnt"))
	must(t, err)
	defer func() { _ = ns.Close() }()
	var names []os.DirEntry
	looked := make(chan error)
	look := func() {
		if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(int(ns.Fd()), unix.CLONE_NEWNS)); err != nil {
			looked <- err
			return
		}
		var err error
		names, err = os.ReadDir("/")
		looked <- errors.Join(err, wantErrno(os.Mkdir("/d", 0o755), unix.EROFS))
	}
	go onLostThread(look)
	must(t, <-looked)
	if len(names) > 0 {
		t.Errorf("below the root there is %v", names)
	}
}

// onLostThread runs f on a thread that ends with it. The main thread, which cannot end, is left alone.
func onLostThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		done := make(chan struct{})
		go func() {
			onLostThread(f)
			close(done)
		}()
		<-done
		runtime.UnlockOSThread()
		return
	}
	f()
}

func wantErrno(err error, want unix.Errno) error {
	if errors.Is(err, want) {
		return nil
	}
	return fmt.Errorf("%v instead of %w", err, want)
}

// TestSpawnersDescriptors counts what the thread that clones has open: each clone copies it.
func TestSpawnersDescriptors(t *testing.T) {
	n := newNative(t)
	for range 64 {
		f, err := os.Open(os.DevNull)
		must(t, err)
		t.Cleanup(func() { _ = f.Close() })
	}
	_, err := run(t, n, starter.Request{Key: "c", Spec: spec(t, oci.Config{Args: []string{"true"}}), Rootfs: rootfs(t, busyboxRoot(t))})
	must(t, err)
	threads, err := filepath.Glob("/proc/self/task/*/fd")
	must(t, err)
	small := 0
	for _, dir := range threads {
		if open, err := os.ReadDir(dir); err == nil && len(open) < 10 {
			small++
		}
	}
	if small != 1 {
		t.Errorf("%d of %d threads have a small table of descriptors of their own", small, len(threads))
	}
}
