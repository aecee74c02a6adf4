package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// sleep takes numbers with a unit, adds them up, and ends at once on a signal.
func sleep(c *call.Call) int {
	var total time.Duration
	if len(c.Args) == 0 {
		return c.Usage("NUMBER[smhd]…")
	}
	for _, a := range c.Args {
		d, err := duration(a)
		if err != nil {
			return c.Fail(err)
		}
		total += d
	}
	c.DieOf(nil)
	if total < 0 {
		select {}
	}
	<-time.After(total)
	return 0
}

// duration reads what sleep and timeout take: "1.5", "10s", "2m", "1h", "1d"; "infinity" is negative.
func duration(s string) (time.Duration, error) {
	if s == "infinity" || s == "inf" {
		return -1 << 62, nil
	}
	unit := time.Second
	number := s
	if n := len(s); n > 0 {
		if u, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[n-1]]; ok {
			unit, number = u, s[:n-1]
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f < 0 {
		return 0, fmt.Errorf("invalid time interval %q", s)
	}
	return time.Duration(f * float64(unit)), nil
}

// exitLate is the exit code of timeout when it had to end the command.
const exitLate = 124

// timeout runs a command, passes signals on to it, and sends it one of its own when the time is over; 0 is no limit.
func timeout(c *call.Call) int {
	fs := c.Flags()
	name := fs.String("s", "TERM", "signal to send")
	if fs.Parse(c.Args) != nil || fs.NArg() < 2 {
		return c.Usage("[-s SIGNAL] SECONDS COMMAND…")
	}
	limit, err := duration(fs.Arg(0))
	if err != nil {
		return c.Fail(err)
	}
	sig, ok := call.SignalNumber(*name)
	if !ok {
		return c.Fail(fmt.Errorf("bad signal name %q", *name))
	}
	cmd := exec.Command(fs.Arg(1), fs.Args()[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.In, c.Out, c.Err
	if err := cmd.Start(); err != nil {
		c.Fail(err)
		return 127
	}
	c.DieOf(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_, _ = cmd.Process.Wait()
	})
	var late atomic.Bool
	if limit > 0 {
		defer time.AfterFunc(limit, func() {
			late.Store(true)
			_ = cmd.Process.Signal(sig)
		}).Stop()
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	switch {
	case late.Load():
		return exitLate
	case !errors.As(err, &exit):
		return c.Ended(err)
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return exit.ExitCode()
}

// env shows the environment, or becomes a command with a changed one.
func env(c *call.Call) int {
	if c.Name == "printenv" && len(c.Args) > 0 {
		code := 0
		for _, name := range c.Args {
			if v, ok := c.Env(name); ok {
				fmt.Fprintln(c.Out, v)
			} else {
				code = 1
			}
		}
		return code
	}
	args, vars := c.Args, os.Environ()
	for len(args) > 0 {
		switch a := args[0]; {
		case a == "-i" || a == "-":
			vars = nil
		case a == "-u" && len(args) > 1:
			args = args[1:]
			vars = slices.DeleteFunc(vars, func(v string) bool { return strings.HasPrefix(v, args[0]+"=") })
		case strings.IndexByte(a, '=') > 0:
			name, _, _ := strings.Cut(a, "=")
			vars = slices.DeleteFunc(vars, func(v string) bool { return strings.HasPrefix(v, name+"=") })
			vars = append(vars, a)
		default:
			path, err := exec.LookPath(a)
			if err == nil {
				err = syscall.Exec(path, args, vars)
			}
			c.Fail(err)
			return 127
		}
		args = args[1:]
	}
	for _, v := range vars {
		fmt.Fprintln(c.Out, v)
	}
	return 0
}

func kill(c *call.Call) int {
	args, sig := c.Args, syscall.SIGTERM
	if len(args) > 0 && args[0] == "-l" {
		fmt.Fprintln(c.Out, strings.Join(call.Signals[1:], " "))
		return 0
	}
	if len(args) > 1 && args[0] == "-s" {
		args[1] = "-" + args[1]
		args = args[1:]
	}
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		s, ok := call.SignalNumber(args[0][1:])
		if !ok {
			return c.Fail(fmt.Errorf("bad signal name %q", args[0][1:]))
		}
		sig, args = s, args[1:]
	}
	if len(args) == 0 {
		return c.Usage("[-SIGNAL] PID…")
	}
	code := 0
	for _, a := range args {
		pid, err := strconv.Atoi(a)
		if err == nil {
			err = syscall.Kill(pid, sig)
		}
		if err != nil {
			code = c.Fail(fmt.Errorf("can't kill pid %s: %w", a, err))
		}
	}
	return code
}
