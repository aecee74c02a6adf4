package starter_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

func TestExec(t *testing.T) {
	n := newNative(t)
	s := spec(t, oci.Config{Args: []string{"sleep", "1000"}, Hostname: "h", NoNewPrivileges: true, Env: []string{"A=1"}})
	c := running(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
	t.Run("namespaces", func(t *testing.T) {
		o, err := execIn(t, n, c, s, oci.Exec{Args: []string{"sh", "-c", "for n in mnt pid ipc uts net cgroup user; do readlink /proc/self/ns/$n; done; hostname; echo $A; cat /proc/1/comm"}}, nil)
		must(t, err)
		var want string
		for _, name := range []string{"mnt", "pid", "ipc", "uts", "net", "cgroup", "user"} {
			link, err := os.Readlink(nsPath(c.PID, name))
			must(t, err)
			want += link + "\n"
		}
		if want += "h\n1\nsleep\n"; o.Out != want || o.Status != 0 {
			t.Errorf("got %v %q, want %q", o.Status, o.Out, want)
		}
	})
	t.Run("restrictions", func(t *testing.T) {
		const show = "grep -E '^(Uid|Gid|Groups|Cap|NoNew|Seccomp:)' /proc/self/status"
		o, err := execIn(t, n, c, s, oci.Exec{Args: []string{"sh", "-c", show}}, nil)
		must(t, err)
		for _, want := range []string{"CapPrm:\t00000000a80425fb\n", "CapBnd:\t00000000a80425fb\n", "CapAmb:\t0000000000000000\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
			if !strings.Contains(o.Out, want) {
				t.Errorf("lacks %q:\n%s", want, o.Out)
			}
		}
	})
	t.Run("user", func(t *testing.T) {
		o, err := execIn(t, n, c, s, oci.Exec{Args: []string{"sh", "-c", "id; pwd"}, Cwd: "/tmp"}, func(p *oci.Process) {
			p.User = oci.User{UID: 1000, GID: 1000, AdditionalGids: []uint32{5, 7}}
		})
		must(t, err)
		if want := "uid=1000(user) gid=1000 groups=5,7\n/tmp\n"; o.Out != want {
			t.Errorf("got %q, want %q", o.Out, want)
		}
	})
	t.Run("exit status", func(t *testing.T) {
		o, err := execIn(t, n, c, s, oci.Exec{Args: []string{"sh", "-c", "exit 7"}}, nil)
		must(t, err)
		if o.Status.ExitStatus() != 7 {
			t.Errorf("got %v", o.Status)
		}
	})
	t.Run("terminal", func(t *testing.T) {
		o, err := execIn(t, n, c, s, oci.Exec{Args: []string{"sh", "-c", "tty; stty size"}, Terminal: true, ConsoleSize: &oci.Box{Height: 30, Width: 90}}, nil)
		must(t, err)
		if !strings.HasPrefix(o.Out, "/dev/pts/") || !strings.HasSuffix(o.Out, "\r\n30 90\r\n") {
			t.Errorf("got %q", o.Out)
		}
	})
}

func TestExecInEndedContainer(t *testing.T) {
	n := newNative(t)
	s := spec(t, oci.Config{Args: []string{"sleep", "1000"}})
	c, err := n.Start(withTimeout(t), starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
	must(t, err)
	pidfd, err := linux.PidfdOpen(c.PID)
	must(t, err)
	defer func() { _ = pidfd.Close() }()
	must(t, linux.PidfdSignal(c.PIDFD, unix.SIGKILL))
	reap(t, c)
	for _, terminal := range []bool{false, true} {
		p, err := oci.ExecProcess(s, oci.Exec{Args: []string{"true"}, Terminal: terminal})
		must(t, err)
		_, err = n.Exec(withTimeout(t), starter.ExecRequest{Key: "e", Container: "c", PID: c.PID, PIDFD: pidfd, Spec: s, Process: p})
		if err == nil {
			t.Fatal("exec in a container that has ended went well")
		}
		t.Log(err)
	}
	reapStage(t)
}

func TestTerminal(t *testing.T) {
	n := newNative(t)
	s := spec(t, oci.Config{Args: []string{"sh", "-c", "tty; stty size; ls -l /dev/console; read x; echo got $x >/dev/console"}, Terminal: true, ConsoleSize: &oci.Box{Height: 31, Width: 91}})
	p, err := n.Start(withTimeout(t), starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
	must(t, err)
	if p.Console == nil {
		t.Fatal("no console")
	}
	defer func() { _ = p.Console.Close() }()
	_, err = p.Console.WriteString("hello\n")
	must(t, err)
	var out bytes.Buffer
	_, _ = io.Copy(&out, p.Console)
	if status := reap(t, p); status != 0 {
		t.Errorf("exit %v", status)
	}
	for _, want := range []string{"/dev/pts/0\r\n", "31 91\r\n", "got hello\r\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q: %q", want, out.String())
		}
	}
}

func TestCommandWords(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	must(t, os.WriteFile(lower+"/bin/plain", []byte("x"), 0o644))
	must(t, os.WriteFile(lower+"/bin/junk", []byte("x"), 0o755))
	must(t, os.WriteFile(lower+"/bin/script", []byte("#!/no/such/shell\n"), 0o755))
	for _, c := range []struct{ name, want string }{
		{"foo", `exec: "foo": executable file not found in $PATH`},
		{"plain", `exec: "plain": executable file not found in $PATH`},
		{"/x", `exec: "/x": stat /x: no such file or directory`},
		{"/bin/plain", `exec: "/bin/plain": permission denied`},
		{"/bin/true/x", `exec: "/bin/true/x": stat /bin/true/x: not a directory`},
		{"/bin/junk", `exec /bin/junk: exec format error`},
		{"script", `exec script: no such file or directory`},
	} {
		s := spec(t, oci.Config{Args: []string{c.name}})
		p, err := n.Start(context.Background(), starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, lower)})
		if err == nil {
			reap(t, p)
			t.Errorf("%s: no error", c.name)
			continue
		}
		if err.Error() != c.want {
			t.Errorf("%s: got %q, want %q", c.name, err, c.want)
		}
		reapStage(t)
	}
}
