package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// jobs are the processes that a shell has started. A signal to the shell goes to them: then the shell runs its trap for it, or
// ends when they have ended.
type jobs struct {
	find    Find
	mu      sync.Mutex
	running map[int]*os.Process
	ended   *sync.Cond // a process has ended
	dying   bool       // a signal ends the shell: nothing starts any more
	traps   map[syscall.Signal]string
	pending []string // actions of traps whose signal has come
	came    []syscall.Signal
}

// Find looks a command of the toolbox up.
type Find func(name string) (call.Applet, bool)

func newJobs(find Find) *jobs {
	j := &jobs{find: find, running: map[int]*os.Process{}, traps: map[syscall.Signal]string{}}
	j.ended = sync.NewCond(&j.mu)
	return j
}

// watch begins to handle signals. On a terminal, Ctrl-C is for the process that runs, and the shell lives on.
func (j *jobs) watch(early *call.Early, interactive bool) {
	ch := make(chan os.Signal, 8)
	signal.Notify(ch, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	if !interactive {
		signal.Notify(ch, syscall.SIGINT, syscall.SIGQUIT)
	}
	early.Stop()
	go func() {
		for s := range ch {
			j.signalled(s.(syscall.Signal))
		}
	}()
	if os.Getpid() == 1 {
		dead := make(chan os.Signal, 1)
		signal.Notify(dead, syscall.SIGCHLD)
		go func() {
			for range dead {
				j.reap()
			}
		}()
	}
}

func (j *jobs) signalled(sig syscall.Signal) {
	j.mu.Lock()
	defer j.mu.Unlock()
	action, trapped := j.traps[sig]
	if trapped {
		if action == "" {
			return // the script ignores it
		}
		j.pending, j.came = append(j.pending, action), append(j.came, sig)
	}
	j.dying = j.dying || !trapped
	for _, p := range j.running {
		_ = p.Signal(sig) // it may just have ended
	}
	if trapped {
		return
	}
	for len(j.running) > 0 {
		j.ended.Wait()
	}
	call.Die(sig)
}

// reap buries the children that are not the shell's own: process 1 inherits the orphans of its namespace.
func (j *jobs) reap() {
	j.mu.Lock()
	defer j.mu.Unlock()
	b, err := os.ReadFile("/proc/1/task/1/children")
	if err != nil {
		return
	}
	for _, f := range strings.Fields(string(b)) {
		if pid, err := strconv.Atoi(f); err == nil && j.running[pid] == nil {
			_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
		}
	}
}

// call sees every command before it runs: here traps run, and the commands that the interpreter does not have are put in.
func (j *jobs) call(_ context.Context, args []string) ([]string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch args[0] {
	case "trap":
		args = j.trap(args)
	case "kill", "umask":
		args = append([]string{inside + args[0]}, args[1:]...)
	}
	script := j.takePending()
	if script == "" {
		return args, nil
	}
	var quoted []string
	for _, a := range args {
		q, err := syntax.Quote(a, syntax.LangBash)
		if err != nil {
			return nil, err
		}
		quoted = append(quoted, q)
	}
	return []string{"eval", script + "\n" + strings.Join(quoted, " ")}, nil
}

// takePending returns what traps have to run now. The caller has mu.
func (j *jobs) takePending() string {
	script := strings.Join(j.pending, "\n")
	j.pending, j.came = nil, nil
	return script
}

// last runs the traps of signals that came during the last command.
func (j *jobs) last(c *call.Call, r *interp.Runner, code int) int {
	j.mu.Lock()
	script := j.takePending()
	j.mu.Unlock()
	if script == "" || r.Exited() {
		return code
	}
	if trapped := runScript(c, r, strings.NewReader(script), "trap"); r.Exited() {
		return trapped
	}
	return code
}

// inside begins the names under which exec finds applets that the interpreter would take for its own.
const inside = "toolbox/"

// trap remembers actions for signals and leaves the others (EXIT, ERR) to the interpreter.
func (j *jobs) trap(args []string) []string {
	if len(args) > 1 {
		_, err := strconv.Atoi(args[1])
		if n, ok := call.SignalNumber(args[1]); ok && n > 0 && (len(args) == 2 || err == nil) {
			args = append([]string{"trap", "-"}, args[1:]...) // no action at all: as at the beginning
		}
	}
	if len(args) < 3 {
		return args
	}
	kept := args[:2:2]
	for _, name := range args[2:] {
		sig, ok := call.SignalNumber(name)
		switch {
		case !ok || name == "0":
			kept = append(kept, name)
		case args[1] == "-":
			delete(j.traps, sig)
		default:
			j.traps[sig] = args[1]
		}
	}
	if len(kept) == 2 {
		return []string{"true"}
	}
	return kept
}

// only is exec in place of the interpreter's own.
func (j *jobs) only(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return j.exec }

// exec runs a command that is no builtin: an applet of ours within this process if it can be, else a process.
func (j *jobs) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	name, ours := strings.CutPrefix(args[0], inside)
	path := ""
	if !ours {
		var err error
		if path, err = interp.LookPathDir(hc.Dir, hc.Env, args[0]); err != nil {
			fmt.Fprintf(hc.Stderr, "sh: %s: not found\n", args[0])
			return interp.ExitStatus(127)
		}
		name, ours = filepath.Base(args[0]), isSelf(path)
	}
	if ours && name == "kill" && j.killsSelf(args[1:]) {
		return nil
	}
	if ours {
		if a, ok := j.find(name); ok && a.Inside {
			c := &call.Call{Context: ctx, Name: name, Args: args[1:], In: hc.Stdin, Out: hc.Stdout, Err: hc.Stderr, Dir: hc.Dir, Env: lookup(hc.Env)}
			if code := a.Run(c); code != 0 {
				return interp.ExitStatus(code)
			}
			return nil
		}
	}
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Env, cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ(hc.Env), hc.Dir, hc.Stdin, hc.Stdout, hc.Stderr
	err := j.start(cmd)
	if errors.Is(err, syscall.ENOEXEC) {
		return j.runPlain(ctx, hc, path, args)
	}
	if err != nil {
		fmt.Fprintf(hc.Stderr, "sh: %v\n", err)
		if errors.Is(err, fs.ErrPermission) {
			return interp.ExitStatus(126)
		}
		return interp.ExitStatus(127)
	}
	err = cmd.Wait()
	j.mu.Lock()
	delete(j.running, cmd.Process.Pid)
	j.ended.Broadcast()
	j.goOn()
	j.mu.Unlock()
	return status(err)
}

// goOn returns unless a signal is ending the shell: then the script must not see what becomes of its commands. The caller
// has mu.
func (j *jobs) goOn() {
	for j.dying {
		j.ended.Wait()
	}
}

// killsSelf handles `kill -TERM $$` at once: a signal would come only after the next commands.
func (j *jobs) killsSelf(args []string) bool {
	sig := syscall.SIGTERM
	if len(args) == 2 {
		s, ok := call.SignalNumber(strings.TrimPrefix(args[0], "-"))
		if !ok {
			return false
		}
		sig, args = s, args[1:]
	}
	handled := slices.Contains([]syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}, sig)
	if len(args) != 1 || args[0] != strconv.Itoa(os.Getpid()) || !handled {
		return false
	}
	j.signalled(sig)
	return true
}

func (j *jobs) start(cmd *exec.Cmd) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.goOn()
	if err := cmd.Start(); err != nil {
		return err
	}
	j.running[cmd.Process.Pid] = cmd.Process
	for _, sig := range j.came { // between the command's begin and now: the script waits for it, and must not for long
		_ = cmd.Process.Signal(sig)
	}
	return nil
}

func status(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return interp.ExitStatus(128 + ws.Signal())
	}
	return interp.ExitStatus(exit.ExitCode())
}

// runPlain runs a script that has no #! line.
func (j *jobs) runPlain(ctx context.Context, hc interp.HandlerContext, path string, args []string) error {
	b, err := os.ReadFile(path)
	if first, _, _ := bytes.Cut(b, []byte("\n")); err == nil && bytes.IndexByte(first, 0) >= 0 {
		err = errors.New("cannot execute binary file")
	}
	if err != nil {
		fmt.Fprintf(hc.Stderr, "sh: %s: %v\n", args[0], err)
		return interp.ExitStatus(126)
	}
	c := &call.Call{Context: ctx, Name: "sh", In: hc.Stdin, Out: hc.Stdout, Err: hc.Stderr}
	j = newJobs(j.find)
	r, err := interp.New(interp.StdIO(c.In, c.Out, c.Err), interp.Dir(hc.Dir), interp.Env(expand.ListEnviron(environ(hc.Env)...)),
		interp.Params(append([]string{"--"}, args[1:]...)...), interp.CallHandler(j.call), interp.ExecHandlers(j.only))
	if err != nil {
		return err
	}
	if code := runScript(c, r, bytes.NewReader(b), args[0]); code != 0 {
		return interp.ExitStatus(code)
	}
	return nil
}

// isSelf says whether a path is this very binary, and not something that a volume or an image put in its place.
func isSelf(path string) bool {
	a, err := os.Stat(path)
	if err != nil {
		return false
	}
	b, err := os.Stat("/proc/self/exe")
	return err == nil && os.SameFile(a, b)
}

func environ(env expand.Environ) []string {
	var list []string
	for name, v := range env.Each {
		if v.Exported && v.Kind == expand.String {
			list = append(list, name+"="+v.String())
		}
	}
	return list
}

func lookup(env expand.Environ) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v := env.Get(name)
		return v.String(), v.IsSet() && v.Exported
	}
}
