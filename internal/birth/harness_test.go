package birth

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// patience is how long a test waits for what comes at once when all is well.
const patience = time.Minute

// conn is a Conn on Go's own sockets.
type conn struct{ *net.UnixConn }

func (c conn) Send(msg []byte, fds ...*os.File) error {
	var rights []byte
	if len(fds) > 0 {
		var raw []int
		for _, f := range fds {
			raw = append(raw, int(f.Fd()))
		}
		rights = unix.UnixRights(raw...)
	}
	_, _, err := c.WriteMsgUnix(msg, rights, nil)
	return err
}

func (c conn) Recv(limit int) ([]byte, []*os.File, error) {
	msg, rights := make([]byte, limit), make([]byte, unix.CmsgSpace(4*perMessage))
	n, on, _, _, err := c.ReadMsgUnix(msg, rights)
	if err != nil {
		return nil, nil, err
	}
	if n == 0 {
		return nil, nil, io.EOF
	}
	var fds []*os.File
	messages, err := unix.ParseSocketControlMessage(rights[:on])
	if err != nil {
		return nil, nil, err
	}
	for _, m := range messages {
		raw, err := unix.ParseUnixRights(&m)
		if err != nil {
			return nil, nil, err
		}
		for _, fd := range raw {
			fds = append(fds, os.NewFile(uintptr(fd), "received"))
		}
	}
	return msg[:n], fds, nil
}

// onEach runs a test with hull-init of each architecture: natively, or under qemu-user.
func onEach(t *testing.T, test func(t *testing.T, arch linux.Arch)) {
	for _, arch := range []linux.Arch{linux.AMD64, linux.ARM64} {
		t.Run(string(arch), func(t *testing.T) {
			t.Parallel()
			if arch != linux.Native {
				emulator(t, arch)
			}
			test(t, arch)
		})
	}
}

func emulator(t *testing.T, arch linux.Arch) string {
	t.Helper()
	name := map[linux.Arch]string{linux.AMD64: "qemu-x86_64-static", linux.ARM64: "qemu-aarch64-static"}[arch]
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, "no "+name+" to run hull-init for "+string(arch)+": install qemu-user-static")
	}
	return path
}

// process is a hull-init that has not been told anything yet.
type process struct {
	t    *testing.T
	arch linux.Arch
	conn conn
	cmd  *exec.Cmd
}

func start(t *testing.T, arch linux.Arch, attr *syscall.SysProcAttr) *process {
	t.Helper()
	return startOn(t, arch, attr, func(int) error { return nil })
}

// startOn is start with something done to its socket before.
func startOn(t *testing.T, arch linux.Arch, attr *syscall.SysProcAttr, prepare func(socket int) error) *process {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := prepare(pair[1]); err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	c, err := net.FileConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, arch: arch, conn: conn{c.(*net.UnixConn)}}
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if arch == linux.Native {
		f, err := Memfd()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		p.cmd = &exec.Cmd{Path: path(f), Args: []string{"hull-init"}}
		p.run(theirs, attr)
		return p
	}
	file := filepath.Join(t.TempDir(), "hull-init")
	if err := os.WriteFile(file, initELF(arch), 0o700); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(emulator(t, arch), file)
	p.run(theirs, attr)
	return p
}

// path is by which os/exec can run a file of ours. It is not below /proc/self: between fork and execve that is the child,
// and os/exec moves the child's descriptors about.
func path(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

func (p *process) run(socket *os.File, attr *syscall.SysProcAttr) {
	p.t.Helper()
	p.cmd.ExtraFiles = []*os.File{socket} // descriptor 3
	p.cmd.SysProcAttr = attr
	p.cmd.Env = []string{}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		p.conn.Close()
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
		if p.t.Failed() {
			p.t.Logf("hull-init was process %d: %v", p.cmd.ProcessState.Pid(), p.cmd.ProcessState)
		}
	})
}

// perform encodes a program and sends it with the files of its descriptors, by name.
func (p *process) perform(program *Program, files map[string]*os.File) {
	p.t.Helper()
	b, err := program.Encode(p.arch)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := decode(b); err != nil {
		p.t.Fatal(err)
	}
	var fds []*os.File
	for _, name := range program.Descriptors() {
		if files[name] == nil {
			p.t.Fatalf("no file for <%s>", name)
		}
		fds = append(fds, files[name])
	}
	if err := Send(p.conn, b, fds); err != nil {
		p.t.Fatal(err)
	}
}

// await is Await, where the program's failure is a value like any other.
func (p *process) await() (Event, *Failure) {
	p.t.Helper()
	e, err := Await(p.conn)
	var f *Failure
	if err != nil && !errors.As(err, &f) {
		p.t.Fatal(err)
	}
	return e, f
}

// want waits for a state.
func (p *process) want(s State) Event {
	p.t.Helper()
	e, f := p.await()
	if f != nil || e.State != s {
		p.t.Fatalf("reports %+v, failure %v; want state %d", e, f, s)
	}
	return e
}

// status waits for the end of the process.
func (p *process) status() int {
	p.t.Helper()
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// ends wants an end without a failure, with that status.
func (p *process) ends(status int) {
	p.t.Helper()
	p.want(Executed)
	if got := p.status(); got != status {
		p.t.Fatalf("ended with status %d, want %d", got, status)
	}
}

// fails wants a step to have failed.
func (p *process) fails(step int, errno unix.Errno) {
	p.t.Helper()
	e, f := p.await()
	if f == nil || f.Step != step || f.Errno != errno {
		p.t.Fatalf("reports %+v, failure %v; want step %d: %v", e, f, step, errno)
	}
	p.want(Executed)
	want := 1
	if step == refused {
		want = 2
	}
	if got := p.status(); got != want {
		p.t.Fatalf("ended with status %d, want %d", got, want)
	}
}

// pipe is one whose read end has a deadline.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	if err := r.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return r, w
}

// all closes our write end and reads what others wrote.
func all(t *testing.T, r, w *os.File) string {
	t.Helper()
	w.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func itoa(n int) string { return decimal(uint64(n)) }

func lines(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }
