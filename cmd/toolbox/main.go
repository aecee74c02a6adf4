// Command toolbox is the program of Hull's built-in image: a shell and the everyday commands in one static binary, which
// looks at the name by which it is called.
//
// It is meant to be process 1 of a container. The kernel ignores signals to process 1 that it does not handle, so sleep,
// sh and the servers handle SIGTERM: a container of theirs ends at once when it is asked to.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// call is one run of an applet: as a process of its own, or within the shell's.
type call struct {
	context.Context
	name string
	args []string
	in   io.Reader
	out  io.Writer
	err  io.Writer
	dir  string // "" is the process's own
	env  func(string) (string, bool)
}

// applet is a command. What it returns is its exit code.
type applet struct {
	run func(*call) int
	// inside says that the shell may run it within its own process: it touches nothing of the process, reads and writes
	// through its call, and finds files from its call's directory.
	inside bool
}

func main() {
	name := filepath.Base(os.Args[0])
	args := os.Args[1:]
	// The commands that are nothing but their start come before everything.
	switch name {
	case "true":
		return
	case "false":
		os.Exit(1)
	}
	if name == "toolbox" {
		if len(args) == 0 || args[0] == "--help" {
			fmt.Println(strings.Join(names(), "\n"))
			return
		}
		name, args = args[0], args[1:]
	}
	os.Exit(run(name, args))
}

func run(name string, args []string) int {
	a, ok := lookApplet(strings.TrimPrefix(name, "-"))
	if !ok {
		fmt.Fprintf(os.Stderr, "toolbox: %s: no such command\n", name)
		return 127
	}
	c := &call{Context: context.Background(), name: name, args: args, in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.LookupEnv}
	return a.run(c)
}

// path finds a file from the call's directory.
func (c *call) path(name string) string {
	if c.dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}

// fail says what went wrong, and is the exit code 1.
func (c *call) fail(err error) int {
	var p *os.PathError
	if errors.As(err, &p) {
		err = fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	fmt.Fprintf(c.err, "%s: %v\n", c.name, err)
	return 1
}

func (c *call) usage(how string) int {
	fmt.Fprintf(c.err, "usage: %s %s\n", c.name, how)
	return 2
}

// each calls fn with every named file, or with standard input when there is no name or it is "-".
func (c *call) each(names []string, fn func(name string, r io.Reader) error) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	code := 0
	for _, name := range names {
		if err := c.one(name, fn); err != nil {
			code = c.fail(err)
		}
	}
	return code
}

func (c *call) one(name string, fn func(string, io.Reader) error) error {
	if name == "-" {
		return fn("", c.in)
	}
	f, err := os.Open(c.path(name))
	if err != nil {
		return err
	}
	return errors.Join(fn(name, f), f.Close())
}
