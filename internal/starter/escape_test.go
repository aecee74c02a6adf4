package starter_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// The known ways out of containers through the program that starts them, each by the name under which it became known.

// CVE-2019-5736: a container overwrites the starter's program through /proc/PID/exe of the process that enters it.
func TestCVE201905736OverwriteOfTheStartersProgram(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	must(t, os.WriteFile(filepath.Join(lower, "bin/self"), []byte("#!/proc/self/exe\n"), 0o755))
	before, err := os.ReadFile("/proc/self/fd/" + strconv.Itoa(int(n.Program().Fd())))
	must(t, err)

	// A script that makes the kernel run the starter's program again, inside.
	s := spec(t, oci.Config{Args: []string{"self"}})
	if _, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)}); err != nil {
		t.Logf("a script with the starter as its interpreter: %v", err)
	}
	// A process that sees the starter's program run, with every right.
	p := infra(t, n, starter.InfraRequest{Key: "s", Name: "hull-infra", NewPID: true, NewIPC: true, NewUTS: true})
	s = podSpec(t, p, "sh", "-c", `head -c 4 /proc/1/exe >/dev/null && echo readable; echo x 2>/dev/null >>/proc/1/exe || echo refused`)
	full, err := oci.HostCapabilities()
	must(t, err)
	s.Process.Capabilities = &oci.LinuxCapabilities{Bounding: full, Effective: full, Permitted: full}
	s.Linux.Seccomp = nil
	for i := range s.Linux.Namespaces {
		if s.Linux.Namespaces[i].Type == oci.PIDNamespace {
			s.Linux.Namespaces[i].Path = nsPath(p.PID, "pid")
		}
	}
	o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)})
	must(t, err)
	reapStage(t)
	expect(t, o, "readable\nrefused\n")
	// Even a descriptor that is open for writing does not help: the file is sealed.
	if _, err := n.Program().WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("writing to the program: %v", err)
	}
	if f, err := os.OpenFile("/proc/"+strconv.Itoa(p.PID)+"/exe", os.O_RDWR, 0); err == nil {
		t.Error("the program of a living process can be opened for writing")
		_ = f.Close()
	}
	after, err := os.ReadFile("/proc/self/fd/" + strconv.Itoa(int(n.Program().Fd())))
	must(t, err)
	if string(before) != string(after) {
		t.Error("the starter's program has changed")
	}
}

// CVE-2024-21626: a working directory of /proc/self/fd/N leads out through a descriptor that the starter left open.
func TestCVE202421626WorkingDirectoryThroughADescriptor(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	for fd := range 16 {
		must(t, os.Symlink("/proc/self/fd/"+strconv.Itoa(fd), filepath.Join(lower, "link"+strconv.Itoa(fd))))
	}
	c := running(t, n, starter.Request{Key: "c", Spec: spec(t, oci.Config{Args: []string{"sleep", "1000"}}), Rootfs: rootfs(t, lower)})
	for fd := range 16 {
		for _, cwd := range []string{"/proc/self/fd/" + strconv.Itoa(fd), "/link" + strconv.Itoa(fd)} {
			s := spec(t, oci.Config{Args: []string{"ls"}, Cwd: cwd})
			if _, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)}); err == nil {
				t.Errorf("start with working directory %s went well", cwd)
			}
			if _, err := execIn(t, n, c, s, oci.Exec{Args: []string{"ls"}, Cwd: cwd}, nil); err == nil {
				t.Errorf("exec with working directory %s went well", cwd)
			}
			reapStage(t)
		}
	}
	const list = "ls /proc/self/fd | while read fd; do test $fd -gt 2 && readlink /proc/self/fd/$fd; done; true"
	s := spec(t, oci.Config{Args: []string{"sh", "-c", list}})
	o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)})
	must(t, err)
	expect(t, o, "")
	o, err = execIn(t, n, c, s, oci.Exec{Args: []string{"sh", "-c", list}}, nil)
	must(t, err)
	expect(t, o, "")
}

// CVE-2025-31133: /dev/null, which masks are made of, is replaced by a link to what the container wants to write.
func TestCVE202531133MasksOfAReplacedNullDevice(t *testing.T) {
	n := newNative(t)
	dev := t.TempDir()
	must(t, os.Symlink("/proc/sys/kernel/core_pattern", filepath.Join(dev, "null")))
	const script = `stat -c %t:%T /proc/interrupts; test -c /proc/interrupts && wc -c </proc/interrupts; stat -c %F /sys/firmware`
	const want = "1:3\n0\ndirectory\n"
	t.Run("volume on /dev", func(t *testing.T) {
		o := shell(t, n, busyboxRoot(t), oci.Config{Mounts: []oci.Mount{{Source: dev, Destination: "/dev"}}}, script)
		expect(t, o, want)
	})
	t.Run("no mount on /dev", func(t *testing.T) {
		lower := busyboxRoot(t)
		must(t, os.Symlink("/proc/sys/kernel/core_pattern", filepath.Join(lower, "dev/null")))
		s := spec(t, oci.Config{Args: []string{"sh", "-c", script}})
		var kept []oci.SpecMount
		for _, m := range s.Mounts {
			if !compile.Under(compile.Inside(m.Destination), "dev") {
				kept = append(kept, m)
			}
		}
		s.Mounts = kept
		o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)})
		must(t, err)
		expect(t, o, want)
	})
	t.Run("image's own", func(t *testing.T) {
		lower := busyboxRoot(t)
		must(t, os.Symlink("/proc/sys/kernel/core_pattern", filepath.Join(lower, "dev/null")))
		expect(t, shell(t, n, lower, oci.Config{}, script), want)
	})
}

// CVE-2025-52565: the terminal is mounted on /dev/console by a name that leads elsewhere.
func TestCVE202552565ConsoleThatLeadsElsewhere(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	must(t, os.Symlink("/proc/sys/kernel/core_pattern", filepath.Join(lower, "dev/console")))
	must(t, os.Symlink("/proc", filepath.Join(lower, "dev/pts")))
	s := spec(t, oci.Config{Args: []string{"sh", "-c", "stat -c %t /dev/console; grep -c core_pattern /proc/self/mountinfo"}, Terminal: true})
	p, err := n.Start(withTimeout(t), starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)})
	must(t, err)
	buf := make([]byte, 100)
	read, _ := p.Console.Read(buf)
	for {
		more, err := p.Console.Read(buf[read:])
		if read += more; err != nil {
			break
		}
	}
	reap(t, p)
	_ = p.Console.Close()
	if got := string(buf[:read]); got != "88\r\n0\r\n" { // 0x88 is 136, a pty
		t.Errorf("got %q", got)
	}

	// In a running container, /dev/pts is whatever the container has made of it.
	s = spec(t, oci.Config{Args: []string{"sleep", "1000"}, Privileged: true})
	c := running(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)})
	o, err := execIn(t, n, c, s, oci.Exec{Args: []string{"sh", "-c", "mount -t tmpfs x /dev/pts && ln -s /proc/sys/kernel/core_pattern /dev/pts/ptmx"}}, nil)
	must(t, err)
	expect(t, o, "")
	if _, err := execIn(t, n, c, s, oci.Exec{Args: []string{"true"}, Terminal: true}, nil); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("a terminal from a false /dev/pts: %v", err)
	}
}

// CVE-2025-52881: what the starter writes to /proc is led to another file.
func TestCVE202552881WritesToAFalseProc(t *testing.T) {
	n := newNative(t)
	caught := filepath.Join(t.TempDir(), "caught")
	must(t, os.WriteFile(caught, []byte("untouched"), 0o666))
	fake := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(fake, "kernel"), 0o755))
	must(t, os.Symlink(caught, filepath.Join(fake, "kernel/shm_rmid_forced")))
	sysctls := map[string]string{"kernel.shm_rmid_forced": "1"}
	t.Run("volume on /proc/sys", func(t *testing.T) {
		s := spec(t, oci.Config{Args: []string{"true"}, Sysctls: sysctls, Mounts: []oci.Mount{{Source: fake, Destination: "/proc/sys"}}})
		if _, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))}); !errors.Is(err, unix.EXDEV) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("proc on a symlink", func(t *testing.T) {
		lower := busyboxRoot(t)
		must(t, os.Remove(filepath.Join(lower, "proc")))
		must(t, os.Symlink("/tmp", filepath.Join(lower, "proc")))
		s := spec(t, oci.Config{Args: []string{"true"}, Sysctls: sysctls})
		if _, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)}); !errors.Is(err, unix.ELOOP) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("volume through a link to /proc", func(t *testing.T) {
		lower := busyboxRoot(t)
		must(t, os.Symlink("/proc", filepath.Join(lower, "data")))
		s := spec(t, oci.Config{Args: []string{"cat", "/proc/sys/kernel/shm_rmid_forced"}, Sysctls: sysctls, Mounts: []oci.Mount{{Source: fake, Destination: "/data/sys"}}})
		o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)})
		must(t, err)
		expect(t, o, "1\n")
	})
	if got, err := os.ReadFile(caught); err != nil || string(got) != "untouched" {
		t.Errorf("the file outside: %q, %v", got, err)
	}
}

// A volume that is mounted inside another is put where the outer one's own tree says, never outside of the container.
func TestMountPointInsideAVolumeThatChanges(t *testing.T) {
	n := newNative(t)
	host := t.TempDir()
	target := filepath.Join(host, "target")
	must(t, os.Mkdir(target, 0o755))
	outer, inner := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(inner, "f"), []byte("inner"), 0o644))
	for _, link := range []string{target, "../../../../../../../.." + target, "/proc/1/root" + target} {
		_ = os.Remove(filepath.Join(outer, "sub"))
		must(t, os.Symlink(link, filepath.Join(outer, "sub")))
		s := spec(t, oci.Config{
			Args:   []string{"sh", "-c", "cat " + target + "/f"},
			Mounts: []oci.Mount{{Source: outer, Destination: "/outer"}, {Source: inner, Destination: "/outer/sub"}},
		})
		lower := busyboxRoot(t)
		must(t, os.MkdirAll(filepath.Join(lower, target), 0o755))
		o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)})
		switch {
		case strings.HasPrefix(link, "/proc"):
			if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ELOOP) {
				t.Errorf("%s: %v, %v", link, o, err)
			}
		case err != nil:
			t.Errorf("%s: %v", link, err)
		default:
			expect(t, o, "inner")
		}
		if entries, err := os.ReadDir(target); err != nil || len(entries) != 0 {
			t.Errorf("%s: on the host: %v, %v", link, entries, err)
		}
	}
}
