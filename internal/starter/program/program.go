// Package program is the starter that has an OCI program, such as runc, make containers from the same spec as the native one.
package program

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/starter"
)

// Config of the starter.
type Config struct {
	Path  string // of the program: runc, crun
	State string // a directory for the program's own state
	Log   *slog.Logger
	Infra starter.Starter // makes infra processes: those are Hull's own, whatever makes the containers
}

// Program is the starter that has an OCI program, such as runc, make containers.
//
//	hulld                                   program                     container
//	  │ root mounted on bundle/rootfs          │
//	  │ create ───────────────────────────────▶│ clones ──────────────────▶│ waits
//	  │◀──────────────── PID file; it ends ────│                           │ child of the nearest subreaper: the keeper
//	  │ Born(pid)                              │                           │
//	  │ start ────────────────────────────────▶│ opens the way ───────────▶│ execve
//
// If hulld dies between create and start, the container waits for ever; whoever recovers finds it by its record, or, where
// that was not made, in the program's own state, from which Delete removes it.
type Program struct {
	cfg Config
}

// New makes a starter of an OCI program. Containers become children of the nearest subreaper above this process.
func New(cfg Config) (*Program, error) {
	path, err := exec.LookPath(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("OCI program: %w", err)
	}
	cfg.Path = path
	if err := os.MkdirAll(cfg.State, 0o700); err != nil {
		return nil, fmt.Errorf("OCI program %s: %w", path, err)
	}
	return &Program{cfg}, nil
}

// Infra has the native starter make the infra process.
func (p *Program) Infra(ctx context.Context, r starter.InfraRequest) (*starter.Process, error) {
	return p.cfg.Infra.Infra(ctx, r)
}

// Start makes a container with the program's create and start.
func (p *Program) Start(ctx context.Context, r starter.Request) (_ *starter.Process, err error) {
	if r.Bundle == "" {
		return nil, fmt.Errorf("no bundle directory: %w", errdefs.ErrInvalidArgument)
	}
	b := &bundle{dir: r.Bundle}
	// The container has all in its own mount namespace once it is created.
	defer func() { err = errors.Join(err, b.detach()) }()
	if err := b.fill(r); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Delete(context.WithoutCancel(ctx), r.Key, r.Bundle))
		}
	}()
	cgroups, err := opened(r.Cgroups)
	if err != nil {
		return nil, err
	}
	defer closeFiles(cgroups)
	made, err := p.create(ctx, r, cgroups)
	if err != nil {
		return nil, err
	}
	if r.Born != nil {
		err = r.Born(made.PID)
	}
	if err == nil && r.Console != nil && made.Console != nil {
		err = r.Console(made.Console)
	}
	if err == nil && r.Ready != nil {
		err = starter.WhileAlive(ctx, made.PIDFD, func(ctx context.Context) error { return r.Ready(ctx, starter.Facts{}) })
	}
	if err == nil {
		err = p.quiet(ctx, r.Bundle, "start", r.Key)
	}
	if err != nil {
		closeProcess(made)
		return nil, err
	}
	return made, nil
}

func (p *Program) create(ctx context.Context, r starter.Request, cgroups []*os.File) (*starter.Process, error) {
	pidFile := filepath.Join(r.Bundle, "pid")
	args := []string{"create", "--bundle", r.Bundle, "--pid-file", pidFile}
	stdio := []*os.File{r.Stdin, r.Stdout, r.Stderr}
	console, err := p.console(&args, r.Spec.Process.Terminal, r.Bundle)
	if err != nil {
		return nil, err
	}
	defer console.close()
	if r.Spec.Process.Terminal {
		stdio = nil
	}
	ended, err := p.call(ctx, r.Bundle, stdio, append(args, r.Key)...)
	if err != nil {
		return nil, err
	}
	made, err := p.made(pidFile, console, ended)
	if err != nil {
		return nil, err
	}
	if r.Spec.Linux != nil && r.Spec.Linux.CgroupsPath == "" {
		err = joinFromOutside(made.PID, cgroups)
	}
	if err != nil {
		closeProcess(made)
		return nil, err
	}
	return made, nil
}

// Exec makes a further process with the program's exec. The process runs already when Born is told of it: the program gives
// no earlier chance.
func (p *Program) Exec(ctx context.Context, r starter.ExecRequest) (_ *starter.Process, err error) {
	dir, err := os.MkdirTemp(p.cfg.State, "exec")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	made, err := p.exec(ctx, r, dir)
	if err == nil && r.Born != nil {
		if err = r.Born(made.PID); err != nil {
			_ = linux.PidfdSignal(made.PIDFD, unix.SIGKILL)
			closeProcess(made)
		}
	}
	if err != nil {
		return nil, err
	}
	return made, nil
}

func (p *Program) exec(ctx context.Context, r starter.ExecRequest, dir string) (*starter.Process, error) {
	data, err := json.Marshal(r.Process)
	if err != nil {
		return nil, fmt.Errorf("encode the process: %w", err)
	}
	file, pidFile := filepath.Join(dir, "process.json"), filepath.Join(dir, "pid")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return nil, fmt.Errorf("write the process: %w", err)
	}
	args := []string{"exec", "--process", file, "--pid-file", pidFile, "--detach"}
	stdio := []*os.File{r.Stdin, r.Stdout, r.Stderr}
	console, err := p.console(&args, r.Process.Terminal, dir)
	if err != nil {
		return nil, err
	}
	defer console.close()
	if r.Process.Terminal {
		stdio = nil
	}
	ended, err := p.call(ctx, dir, stdio, append(args, r.Container)...)
	if err != nil {
		return nil, err
	}
	return p.made(pidFile, console, ended)
}

// Delete has the program remove a container, which it may not know, with its poststop hooks.
func (p *Program) Delete(ctx context.Context, id, _ string) error {
	if _, err := os.Stat(filepath.Join(p.cfg.State, id)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	dir, err := os.MkdirTemp(p.cfg.State, "delete")
	if err != nil {
		return fmt.Errorf("delete container %s: %w", id, err)
	}
	err = p.quiet(ctx, dir, "delete", "--force", id)
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		return fmt.Errorf("delete container %s: %w", id, err)
	}
	return nil
}

// made is the process that a PID file names. It may have ended and been reaped by now; its descriptor then is that of the
// program's own process, which has ended too and tells nothing else.
func (p *Program) made(pidFile string, console *consoleSocket, pidfd *os.File) (*starter.Process, error) {
	data, err := os.ReadFile(pidFile)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the PID file: %w", err), pidfd.Close())
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the PID file: %w", err), pidfd.Close())
	}
	if f, err := linux.PidfdOpen(pid); err == nil {
		_ = pidfd.Close()
		pidfd = f
	} else if !errors.Is(err, unix.ESRCH) {
		return nil, errors.Join(err, pidfd.Close())
	}
	made := &starter.Process{PID: pid, PIDFD: pidfd}
	if console != nil {
		if made.Console, err = console.receive(); err != nil {
			closeProcess(made)
			return nil, err
		}
	}
	return made, nil
}

func closeProcess(p *starter.Process) {
	_ = p.PIDFD.Close()
	if p.Console != nil {
		_ = p.Console.Close()
	}
}

// quiet is call without streams, and without a descriptor of the program's process.
func (p *Program) quiet(ctx context.Context, dir string, args ...string) error {
	ended, err := p.call(ctx, dir, nil, args...)
	if err != nil {
		return err
	}
	return ended.Close()
}

// call runs the program to its end and returns a descriptor of its process. What it has to say about a failure is in its log:
// its own streams are the container's.
func (p *Program) call(ctx context.Context, dir string, stdio []*os.File, args ...string) (*os.File, error) {
	log := filepath.Join(dir, "log.json")
	_ = os.Remove(log)
	global := []string{"--root", p.cfg.State, "--log", log, "--log-format", "json"}
	cmd := exec.CommandContext(ctx, p.cfg.Path, append(global, args...)...)
	pidfd := -1
	cmd.SysProcAttr = &syscall.SysProcAttr{PidFD: &pidfd}
	if len(stdio) == 3 {
		// A nil *os.File in an interface would not be nil.
		if stdio[0] != nil {
			cmd.Stdin = stdio[0]
		}
		if stdio[1] != nil {
			cmd.Stdout = stdio[1]
		}
		if stdio[2] != nil {
			cmd.Stderr = stdio[2]
		}
	}
	err := cmd.Run()
	var process *os.File
	if pidfd >= 0 {
		_ = unix.SetNonblock(pidfd, true) // for Go's poller
		process = os.NewFile(uintptr(pidfd), "pidfd")
	}
	if err == nil {
		return process, nil
	}
	_ = process.Close()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if words := lastError(log); words != "" {
		return nil, programError(words)
	}
	return nil, fmt.Errorf("%s %s: %w", filepath.Base(p.cfg.Path), args[0], err)
}

// lastError is the last error in the program's log.
func lastError(log string) string {
	data, err := os.ReadFile(log)
	if err != nil {
		return ""
	}
	last := ""
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var entry struct{ Level, Msg string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && (entry.Level == "error" || entry.Level == "fatal") {
			last = entry.Msg
		}
	}
	return last
}

// commandWords is how runc and crun say that a command cannot be run, at the end of whatever they put before it.
var commandWords = regexp.MustCompile(`exec: "([^"]*)": (.*)$`)

func programError(words string) error {
	m := commandWords.FindStringSubmatch(strings.TrimSpace(words))
	if m == nil {
		return errors.New(words)
	}
	errno := unix.ENOENT
	for _, e := range []unix.Errno{unix.EACCES, unix.ENOTDIR, unix.EISDIR} {
		if strings.HasSuffix(m[2], e.Error()) {
			errno = e
		}
	}
	return &starter.CommandError{Name: m[1], Reason: m[2], Errno: errno}
}

// opened are a request's cgroups, which are there from then on.
func opened(open starter.Cgroups) ([]*os.File, error) {
	if open == nil {
		return nil, nil
	}
	return open()
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// joinFromOutside puts a process into cgroups by their files, where the program was not told of them.
func joinFromOutside(pid int, cgroups []*os.File) error {
	for _, f := range cgroups {
		name := filepath.Join(filepath.Dir(f.Name()), "cgroup.procs")
		if err := os.WriteFile(name, []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	return nil
}
