package startertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

// Implementation is a starter under test, and what it cannot do for reasons of its build.
type Implementation struct {
	starter.Starter
	NoSeccomp bool
}

// run runs one container to its end and deletes it.
func (i Implementation) run(t *testing.T, c oci.Config, change func(*starter.Request)) (Outcome, error) {
	t.Helper()
	r := i.request(t, c)
	if change != nil {
		change(&r)
	}
	o, err := Run(t, i, r)
	ReapStage(t)
	Must(t, i.Delete(Context(t), r.Key, r.Bundle))
	return o, err
}

func (i Implementation) request(t *testing.T, c oci.Config) starter.Request {
	t.Helper()
	key := "hulltest-" + name(t)
	c.CgroupsPath = "/" + key
	s := Spec(t, c)
	if i.NoSeccomp {
		s.Linux.Seccomp = nil
	}
	bundle, err := os.MkdirTemp("", "hull")
	Must(t, err)
	t.Cleanup(func() { Must(t, os.RemoveAll(bundle)) })
	return starter.Request{Key: key, Spec: s, Rootfs: Rootfs(t, BusyboxRoot(t)), Bundle: bundle}
}

// Contract holds a starter to its promises.
func Contract(t *testing.T, i Implementation) {
	for name, c := range map[string]struct {
		config oci.Config
		script string
		want   string
	}{
		"environment":             {oci.Config{Env: []string{"A=1", "B=x y"}}, `echo $A $B`, "1 x y\n"},
		"working directory":       {oci.Config{Cwd: "/made/for/it"}, `pwd`, "/made/for/it\n"},
		"user":                    {oci.Config{UID: 1000, GID: 1000, Groups: []uint32{1000, 7}}, `id`, "uid=1000(user) gid=1000 groups=7,1000\n"},
		"umask":                   {oci.Config{Umask: new(uint32(0o077))}, `umask`, "0077\n"},
		"hostname":                {oci.Config{Hostname: "contract"}, `hostname`, "contract\n"},
		"sysctl":                  {oci.Config{Sysctls: map[string]string{"kernel.shm_rmid_forced": "1"}}, `cat /proc/sys/kernel/shm_rmid_forced`, "1\n"},
		"limits":                  {oci.Config{Rlimits: []oci.Rlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: 200}}}, `ulimit -Sn; ulimit -Hn`, "100\n200\n"},
		"oom score":               {oci.Config{OOMScoreAdj: new(777)}, `cat /proc/self/oom_score_adj`, "777\n"},
		"no new privileges":       {oci.Config{NoNewPrivileges: true}, `grep NoNewPrivs /proc/self/status`, "NoNewPrivs:\t1\n"},
		"capabilities":            {oci.Config{DropCapabilities: []string{"ALL"}, AddCapabilities: []string{"CHOWN"}}, `grep -E 'Cap(Prm|Eff|Bnd|Inh|Amb)' /proc/self/status`, "CapInh:\t0000000000000000\nCapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapBnd:\t0000000000000001\nCapAmb:\t0000000000000000\n"},
		"capabilities after user": {oci.Config{UID: 1000}, `grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status`, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n"},
		"read-only root":          {oci.Config{ReadonlyRootfs: true}, `touch /x 2>/dev/null || echo refused`, "refused\n"},
		"devices":                 {oci.Config{Devices: []oci.Device{{Path: "/dev/mine", Type: "c", Major: 1, Minor: 5, FileMode: 0o640, UID: 7}}}, `stat -c '%F %t:%T %a %u' /dev/mine; for d in null zero full random urandom tty; do stat -c '%F %t:%T %a' /dev/$d; done`, "character special file 1:5 640 7\ncharacter special file 1:3 666\ncharacter special file 1:5 666\ncharacter special file 1:7 666\ncharacter special file 1:8 666\ncharacter special file 1:9 666\ncharacter special file 5:0 666\n"},
		"links":                   {oci.Config{}, `cd /dev; for l in fd stdin stdout stderr ptmx; do readlink $l; done`, "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n"},
		"hidden paths":            {oci.Config{}, `wc -c </proc/interrupts; ls /sys/firmware | wc -l; echo x 2>/dev/null >/proc/sys/kernel/panic || echo refused`, "0\n0\nrefused\n"},
		"processes":               {oci.Config{}, `set -- /proc/[0-9]*; echo $$ $#`, "1 1\n"},
		"descriptors":             {oci.Config{}, `ls /proc/self/fd | wc -l`, "4\n"},
		"streams of the user":     {oci.Config{UID: 1000}, `echo again >/dev/stdout`, "again\n"},
		"session":                 {oci.Config{}, `read a b c d pgrp session rest </proc/self/stat; echo $session`, "1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Args = []string{"sh", "-c", c.script}
			o, err := i.run(t, c.config, nil)
			Must(t, err)
			Expect(t, o, c.want)
		})
	}
	t.Run("exit status", func(t *testing.T) { contractExit(t, i) })
	t.Run("volumes", func(t *testing.T) { contractVolumes(t, i) })
	t.Run("words", func(t *testing.T) { contractWords(t, i) })
	t.Run("namespaces", func(t *testing.T) { contractNamespaces(t, i) })
	t.Run("born", func(t *testing.T) { contractBorn(t, i) })
	t.Run("dead before it may run", func(t *testing.T) { contractDead(t, i) })
	t.Run("terminal", func(t *testing.T) { contractTerminal(t, i) })
	t.Run("exec", func(t *testing.T) { contractExec(t, i) })
	t.Run("streams", func(t *testing.T) { contractStreams(t, i) })
	t.Run("delete", func(t *testing.T) { Must(t, i.Delete(Context(t), "hulltest-unknown", t.TempDir())) })
	t.Run("seccomp", func(t *testing.T) {
		if i.NoSeccomp {
			t.Skip("this runc is built without libseccomp")
		}
		o, err := i.run(t, oci.Config{Args: []string{"sh", "-c", `grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp 2>/dev/null || echo refused`}}, nil)
		Must(t, err)
		Expect(t, o, "Seccomp:\t2\nrefused\n")
	})
}

func contractExit(t *testing.T, i Implementation) {
	for script, check := range map[string]func(unix.WaitStatus) bool{
		"exit 7":     func(s unix.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 7 },
		"kill -9 $$": func(s unix.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 0 }, // no signal of its own kills PID 1
	} {
		o, err := i.run(t, oci.Config{Args: []string{"sh", "-c", script}}, nil)
		Must(t, err)
		if !check(o.Status) {
			t.Errorf("%s: %v", script, o.Status)
		}
	}
}

// contractDead kills a process that waits for the word to run its command.
func contractDead(t *testing.T, i Implementation) {
	var pid int
	_, err := i.run(t, oci.Config{Args: []string{"true"}}, func(r *starter.Request) {
		r.Born = func(born int) error { pid = born; return nil }
		r.Ready = func(ctx context.Context, _ starter.Facts) error {
			Must(t, unix.Kill(pid, unix.SIGKILL))
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-Context(t).Done():
				return errors.New("it is waited for although it is dead")
			}
		}
	})
	if err == nil || !strings.Contains(err.Error(), "killed before it ran its command") {
		t.Errorf("a process that died meanwhile: %v", err)
	}
}

func contractVolumes(t *testing.T, i Implementation) {
	dir := t.TempDir()
	Must(t, os.WriteFile(filepath.Join(dir, "f"), []byte("f\n"), 0o644))
	file, err := linux.OpenSource(filepath.Join(dir, "f"))
	Must(t, err)
	defer func() { _ = file.Close() }()
	o, err := i.run(t, oci.Config{
		Args: []string{"sh", "-c", "cat /rw/f /ro/f /file; echo w >/rw/w; echo w 2>/dev/null >/ro/w || echo refused; mount | grep -c ' /ro '; mount | grep ' /rw ' | grep -c nosuid"},
		Mounts: []oci.Mount{
			{Source: dir, Destination: "/rw", Options: []string{"nosuid"}}, {Source: dir, Destination: "/ro", ReadOnly: true},
			{Source: "/by/descriptor", Destination: "/file", ReadOnly: true},
		},
	}, func(r *starter.Request) { r.Sources = map[string]*os.File{"/file": file} })
	Must(t, err)
	Expect(t, o, "f\nf\nf\nrefused\n1\n1\n")
	if got, err := os.ReadFile(filepath.Join(dir, "w")); err != nil || string(got) != "w\n" {
		t.Errorf("written: %q, %v", got, err)
	}
}

func contractWords(t *testing.T, i Implementation) {
	for name, c := range map[string]struct {
		want  string
		class error
	}{
		"foo":         {`exec: "foo": executable file not found in $PATH`, fs.ErrNotExist},
		"/x":          {`exec: "/x": stat /x: no such file or directory`, fs.ErrNotExist},
		"/etc/passwd": {`exec: "/etc/passwd": permission denied`, fs.ErrPermission},
	} {
		_, err := i.run(t, oci.Config{Args: []string{name}}, nil)
		var command *starter.CommandError
		if !errors.As(err, &command) || command.Error() != c.want || !errors.Is(err, c.class) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func contractNamespaces(t *testing.T, i Implementation) {
	p := Infra(t, i, starter.InfraRequest{Key: "s", Name: "hull-infra", Hostname: "pod", NewIPC: true, NewUTS: true})
	o, err := i.run(t, oci.Config{
		Args: []string{"sh", "-c", "hostname; for n in net ipc uts pid mnt; do readlink /proc/self/ns/$n; done"},
		Namespaces: oci.Namespaces{
			Net: oci.Join(NSPath(p.PID, "net")), IPC: oci.Join(NSPath(p.PID, "ipc")), UTS: oci.Join(NSPath(p.PID, "uts")),
		},
	}, nil)
	Must(t, err)
	lines := strings.Split(o.Out, "\n")
	for n, name := range []string{"net", "ipc", "uts", "pid", "mnt"} {
		link, err := os.Readlink(NSPath(p.PID, name))
		Must(t, err)
		if shared := n < 3; (lines[n+1] == link) != shared {
			t.Errorf("%s: the container has %s, the infra process %s", name, lines[n+1], link)
		}
	}
	if lines[0] != "pod" {
		t.Errorf("hostname %q", lines[0])
	}
}

func contractBorn(t *testing.T, i Implementation) {
	var pid int
	o, err := i.run(t, oci.Config{Args: []string{"true"}}, func(r *starter.Request) {
		r.Born = func(p int) error {
			pid = p
			// It has not run its command yet.
			exe, err := os.Readlink("/proc/" + strconv.Itoa(p) + "/exe")
			if err != nil || strings.Contains(exe, "busybox") {
				t.Errorf("when Born is called: %s, %v", exe, err)
			}
			return nil
		}
	})
	if err != nil || o.Status != 0 || pid == 0 {
		t.Errorf("%v, %v, pid %d", o, err, pid)
	}
	refuse := errors.New("not to be born")
	_, err = i.run(t, oci.Config{Args: []string{"true"}}, func(r *starter.Request) { r.Born = func(int) error { return refuse } })
	if !errors.Is(err, refuse) {
		t.Errorf("got %v", err)
	}
}

func contractTerminal(t *testing.T, i Implementation) {
	r := i.request(t, oci.Config{Args: []string{"sh", "-c", "tty; stty size; stat -c %t /dev/console"}, Terminal: true, ConsoleSize: &oci.Box{Height: 33, Width: 99}})
	p, err := i.Start(Context(t), r)
	Must(t, err)
	var out bytes.Buffer
	_, _ = io.Copy(&out, p.Console)
	_ = p.Console.Close()
	status := Reap(t, p)
	Must(t, i.Delete(Context(t), r.Key, r.Bundle))
	if want := "/dev/pts/0\r\n33 99\r\n88\r\n"; out.String() != want || status != 0 {
		t.Errorf("exit %v, output %q, want %q", status, out.String(), want)
	}
}

func contractExec(t *testing.T, i Implementation) {
	r := i.request(t, oci.Config{Args: []string{"sleep", "1000"}, Env: []string{"A=1"}, NoNewPrivileges: true})
	c := Running(t, i, r)
	defer func() { Must(t, i.Delete(Context(t), r.Key, r.Bundle)) }()
	inside := func(e oci.Exec, change func(*oci.Process)) (Outcome, error) {
		return ExecNamed(t, i, r.Key, c, r.Spec, e, change)
	}
	o, err := inside(oci.Exec{Args: []string{"sh", "-c", "echo $A $B; grep -E 'CapPrm|NoNew' /proc/self/status; cat /proc/1/comm; exit 3"}, Env: []string{"B=2"}}, nil)
	Must(t, err)
	if want := "1 2\nCapPrm:\t00000000a80425fb\nNoNewPrivs:\t1\nsleep\n"; o.Out != want || o.Status.ExitStatus() != 3 {
		t.Errorf("exit %v, output %q, want %q", o.Status, o.Out, want)
	}
	o, err = inside(oci.Exec{Args: []string{"sh", "-c", "id -u; pwd"}, Cwd: "/tmp"}, func(p *oci.Process) { p.User = oci.User{UID: 1000, GID: 1000} })
	Must(t, err)
	Expect(t, o, "1000\n/tmp\n")
	o, err = inside(oci.Exec{Args: []string{"sh", "-c", "test -t 0 && stty size"}, Terminal: true, ConsoleSize: &oci.Box{Height: 22, Width: 66}}, nil)
	Must(t, err)
	Expect(t, o, "22 66\r\n")
	var command *starter.CommandError
	if _, err = inside(oci.Exec{Args: []string{"foo"}}, nil); !errors.As(err, &command) || command.Error() != `exec: "foo": executable file not found in $PATH` {
		t.Errorf("got %v", err)
	}
	_ = linux.PidfdSignal(c.PIDFD, unix.SIGKILL)
}

func contractStreams(t *testing.T, i Implementation) {
	in, toIn, err := os.Pipe()
	Must(t, err)
	fromErr, stderr, err := os.Pipe()
	Must(t, err)
	_, err = toIn.WriteString("question\n")
	Must(t, err)
	Must(t, toIn.Close())
	fromOut, stdout, err := os.Pipe()
	Must(t, err)
	r := i.request(t, oci.Config{Args: []string{"sh", "-c", "cat; echo oops >&2"}})
	r.Stdin, r.Stdout, r.Stderr = in, stdout, stderr
	p, err := i.Start(Context(t), r)
	Must(t, errors.Join(in.Close(), stdout.Close(), stderr.Close()))
	Must(t, err)
	out, err := io.ReadAll(fromOut)
	Must(t, err)
	oops, err := io.ReadAll(fromErr)
	Must(t, err)
	Reap(t, p)
	Must(t, i.Delete(Context(t), r.Key, r.Bundle))
	if string(out) != "question\n" || string(oops) != "oops\n" {
		t.Errorf("stdout %q, stderr %q", out, oops)
	}
}

// name is unique on this machine: it becomes a cgroup's.
func name(t testing.TB) string {
	b := make([]byte, 4)
	_, err := rand.Read(b)
	Must(t, err)
	return hex.EncodeToString(b)
}
