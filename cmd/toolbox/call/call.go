// Package call is one run of a command of the toolbox: its arguments, where it reads and writes, and how it says what went
// wrong.
package call

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Call is one run of a command: as a process of its own, or within the shell's.
type Call struct {
	context.Context
	Name string
	Args []string
	In   io.Reader
	Out  io.Writer
	Err  io.Writer
	Dir  string // "" is the process's own
	Env  func(string) (string, bool)

	Early *Early // what a command stops that has signals do something else; nil within the shell's process
}

// Applet is a command. What it returns is its exit code.
type Applet struct {
	Run func(*Call) int
	// Inside says that the shell may run it within its own process: it touches nothing of the process, reads and writes
	// through its call, and finds files from its call's directory.
	Inside bool
}

// Path finds a file from the call's directory.
func (c *Call) Path(name string) string {
	if c.Dir == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.Dir, name)
}

// Fail says what went wrong, and is the exit code 1.
func (c *Call) Fail(err error) int {
	var p *os.PathError
	if errors.As(err, &p) {
		err = fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	fmt.Fprintf(c.Err, "%s: %v\n", c.Name, err)
	return 1
}

// Ended is the exit code of an error, or of none.
func (c *Call) Ended(err error) int {
	if err != nil {
		return c.Fail(err)
	}
	return 0
}

// Usage says how the command is called, and is the exit code 2.
func (c *Call) Usage(how string) int {
	fmt.Fprintf(c.Err, "usage: %s %s\n", c.Name, how)
	return 2
}

// Flags is a set that leaves saying what is wrong to the command.
func (c *Call) Flags() *flag.FlagSet {
	fs := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	fs.SetOutput(c.Err)
	return fs
}

// Each calls fn with every named file, or with standard input when there is no name or it is "-".
func (c *Call) Each(names []string, fn func(name string, r io.Reader) error) int {
	if len(names) == 0 {
		names = []string{"-"}
	}
	code := 0
	for _, name := range names {
		if err := c.one(name, fn); err != nil {
			code = c.Fail(err)
		}
	}
	return code
}

func (c *Call) one(name string, fn func(string, io.Reader) error) error {
	if name == "-" {
		return fn("", c.In)
	}
	f, err := os.Open(c.Path(name))
	if err != nil {
		return err
	}
	return errors.Join(fn(name, f), f.Close())
}

// Every calls fn with each path, and goes on after an error.
func (c *Call) Every(args []string, fn func(path string) error) int {
	code := 0
	for _, a := range args {
		if err := fn(c.Path(a)); err != nil {
			code = c.Fail(err)
		}
	}
	return code
}

// Split takes letters that stand together apart ("-qF"), for the flag package.
func Split(args []string, letters string) []string {
	var out []string
	for i, a := range args {
		if a == "--" || len(a) == 0 || a[0] != '-' {
			return append(out, args[i:]...)
		}
		if len(a) > 2 && strings.Trim(a[1:], letters) == "" {
			for _, l := range a[1:] {
				out = append(out, "-"+string(l))
			}
			continue
		}
		out = append(out, a)
	}
	return out
}

// Lines calls fn with each line, its end included if it has one.
func Lines(r io.Reader, fn func(line []byte) error) error {
	b := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := b.ReadBytes('\n')
		if len(line) > 0 {
			if ferr := fn(line); ferr != nil {
				return ferr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
