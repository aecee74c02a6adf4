package starter_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

// ownCgroup makes a cgroup in each hierarchy that there is, and opens the files by which a process joins.
func ownCgroup(t testing.TB, n *starter.Native) (name string, files []*os.File) {
	t.Helper()
	name = "hulltest-" + hulltest.Instance(t)
	if len(n.CgroupMounts()) == 0 {
		t.Skip("this host has cgroups of version 2 alone, where the limits' own tests make the cgroups")
	}
	for _, at := range n.CgroupMounts() {
		dir := filepath.Join(at, name)
		must(t, os.Mkdir(dir, 0o755))
		t.Cleanup(func() { must(t, os.Remove(dir)) })
		for _, f := range []string{"cpuset.mems", "cpuset.cpus"} {
			if data, err := os.ReadFile(filepath.Join(at, f)); err == nil {
				must(t, os.WriteFile(filepath.Join(dir, f), data, 0o644))
			}
		}
		f, err := os.OpenFile(filepath.Join(dir, "tasks"), os.O_WRONLY, 0)
		must(t, err)
		t.Cleanup(func() { _ = f.Close() })
		files = append(files, f)
	}
	return name, files
}

func TestCgroups(t *testing.T) {
	n := newNative(t)
	name, files := ownCgroup(t, n)
	s := spec(t, oci.Config{Args: []string{"sleep", "1000"}})
	r := starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t)), Cgroups: opened(files)}
	p := running(t, n, r)
	checkCgroups(t, p.PID, name)
	script := `for h in /sys/fs/cgroup/*; do test -d $h && grep -qx 1 $h/cgroup.procs || echo "not in $h"; done
		mkdir /sys/fs/cgroup/x /sys/fs/cgroup/pids/x 2>/dev/null && echo made; ls /sys/fs/cgroup | wc -l; read wait`
	process, err := oci.ExecProcess(s, oci.Exec{Args: []string{"sh", "-c", script}})
	must(t, err)
	read, write, err := os.Pipe()
	must(t, err)
	stdin, release, err := os.Pipe() // the process stays until it is looked at
	must(t, err)
	e, err := n.Exec(withTimeout(t), starter.ExecRequest{Key: "e", Container: "c", PID: p.PID, PIDFD: p.PIDFD, Spec: s, Process: process, Stdin: stdin, Stdout: write, Stderr: write, Cgroups: opened(files)})
	must(t, err)
	checkCgroups(t, e.PID, name)
	must(t, errors.Join(write.Close(), stdin.Close(), release.Close()))
	buf := make([]byte, 4096)
	got, _ := read.Read(buf)
	_ = read.Close()
	reapAll(t, e)
	if want := fmt.Sprintf("%d\n", len(n.CgroupMounts())); string(buf[:got]) != want {
		t.Errorf("inside: %q, want %q", buf[:got], want)
	}
	_ = unix.Kill(p.PID, unix.SIGKILL)
}

func checkCgroups(t *testing.T, pid int, name string) {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	must(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if !strings.HasPrefix(line, "0::") && !strings.HasSuffix(line, ":/"+name) {
			t.Errorf("process %d is in %s", pid, line)
		}
	}
}

// opened opens files anew, as the starter closes them.
func opened(files []*os.File) starter.Cgroups {
	return func() ([]*os.File, error) {
		var again []*os.File
		for _, f := range files {
			g, err := os.OpenFile(f.Name(), os.O_WRONLY, 0)
			if err != nil {
				return again, err
			}
			again = append(again, g)
		}
		return again, nil
	}
}
