// Package shell is the toolbox's sh: mvdan.cc/sh's interpreter, with the processes, signals and traps that a shell has when it is
// process 1 of a container.
package shell

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// Run is sh: `sh -c SCRIPT [NAME [ARG…]]`, `sh FILE [ARG…]`, standard input, or a terminal.
func Run(c *call.Call, find Find) int {
	command, opts, rest, err := shellArgs(c.Args)
	if err != nil {
		fmt.Fprintf(c.Err, "sh: %v\n", err)
		return 2
	}
	name, params := "sh", []string(nil)
	if len(rest) > 0 {
		name, params = rest[0], rest[1:]
	}
	jobs := newJobs(find)
	runner, err := interp.New(
		interp.StdIO(c.In, c.Out, c.Err),
		interp.Params(append(append(opts, "--"), params...)...),
		interp.CallHandler(jobs.call),
		interp.ExecHandlers(jobs.only),
	)
	if err != nil {
		fmt.Fprintf(c.Err, "sh: %v\n", err)
		return 2
	}
	switch {
	case command != nil:
		jobs.watch(c.Early, false)
		return jobs.last(c, runner, runScript(c, runner, strings.NewReader(*command), name))
	case len(rest) > 0:
		jobs.watch(c.Early, false)
		f, err := os.Open(name)
		if err != nil {
			fmt.Fprintf(c.Err, "sh: %v\n", err)
			return 127
		}
		defer f.Close() //nolint:errcheck // opened for reading
		return jobs.last(c, runner, runScript(c, runner, f, name))
	case term.IsTerminal(int(os.Stdin.Fd())):
		jobs.watch(nil, true)
		return converse(c, runner)
	}
	jobs.watch(c.Early, false)
	return jobs.last(c, runner, runLines(c, runner))
}

// shellArgs takes apart the command line: -c, options of the set builtin, and what is left.
func shellArgs(args []string) (command *string, opts, rest []string, err error) {
	for len(args) > 0 {
		a := args[0]
		if a == "--" {
			args = args[1:]
			break
		}
		if len(a) < 2 || a[0] != '-' && a[0] != '+' {
			break
		}
		args = args[1:]
		for _, f := range a[1:] {
			switch f {
			case 'c':
				command = new(string)
			case 'i', 'l', 's': // interactive is known from the terminal; there are no profiles
			case 'o':
				if len(args) == 0 {
					return nil, nil, nil, errors.New("-o: option requires an argument")
				}
				opts, args = append(opts, a[:1]+"o", args[0]), args[1:]
			default:
				opts = append(opts, a[:1]+string(f))
			}
		}
	}
	if command != nil {
		if len(args) == 0 {
			return nil, nil, nil, errors.New("-c: option requires an argument")
		}
		*command, args = args[0], args[1:]
	}
	return command, opts, args, nil
}

func runScript(c *call.Call, r *interp.Runner, src io.Reader, name string) int {
	file, err := syntax.NewParser().Parse(src, name)
	if err != nil {
		fmt.Fprintf(c.Err, "sh: %v\n", err)
		return 2
	}
	return exitCode(c, r.Run(c.Context, file))
}

// runLines runs standard input statement by statement, as it comes: a command may read what follows it.
func runLines(c *call.Call, r *interp.Runner) int {
	code := 0
	for stmts, err := range syntax.NewParser().InteractiveSeq(c.In) {
		if err != nil {
			fmt.Fprintf(c.Err, "sh: %v\n", err)
			return 2
		}
		for _, s := range stmts {
			code = exitCode(c, r.Run(c.Context, s))
			if r.Exited() {
				return code
			}
		}
	}
	return code
}

// converse is the shell on a terminal: the terminal's own line editing, a prompt, and Ctrl-C for what runs, not for the shell.
func converse(c *call.Call, r *interp.Runner) int {
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, syscall.SIGINT, syscall.SIGQUIT)
	c.Early.Stop()
	go func() {
		for range interrupt {
			fmt.Fprintln(c.Out) // the terminal has thrown the line away
		}
	}()
	in := bufio.NewReader(c.In)
	code := 0
	prompt(c, r)
	for {
		parser := syntax.NewParser()
		for stmts, err := range parser.InteractiveSeq(in) {
			if err != nil {
				fmt.Fprintf(c.Err, "sh: %v\n", err)
				code = 2
				break
			}
			if parser.Incomplete() {
				fmt.Fprint(c.Out, "> ")
				continue
			}
			for _, s := range stmts {
				code = exitCode(c, r.Run(c.Context, s))
				if r.Exited() {
					return code
				}
			}
			prompt(c, r)
		}
		if _, err := in.Peek(1); err != nil {
			fmt.Fprintln(c.Out)
			return code
		}
		prompt(c, r)
	}
}

func prompt(c *call.Call, r *interp.Runner) {
	sign := "$"
	if os.Geteuid() == 0 {
		sign = "#"
	}
	fmt.Fprintf(c.Out, "%s %s ", r.Dir, sign)
}

func exitCode(c *call.Call, err error) int {
	var status interp.ExitStatus
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		return int(status)
	}
	fmt.Fprintf(c.Err, "sh: %v\n", err)
	return 1
}

// Builtin runs a command that the shell has inside, for those who call it by its path.
func Builtin(c *call.Call) int {
	r, err := interp.New(interp.StdIO(c.In, c.Out, c.Err), interp.Params(append([]string{"--"}, c.Args...)...))
	if err != nil {
		return c.Fail(err)
	}
	return runScript(c, r, strings.NewReader(c.Name+` "$@"`), c.Name)
}
