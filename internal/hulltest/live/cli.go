package live

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// CLI is the command line of one Hull, which its two directories name.
type CLI struct {
	Root, State string

	t   testing.TB
	bin string
}

// Result is how a command line ended.
type Result struct {
	Stdout, Stderr string
	Code           int
}

// Run runs hull with these arguments against this Hull, without input.
func (c *CLI) Run(args ...string) Result {
	c.t.Helper()
	return c.RunInput("", args...)
}

// RunInput is Run with standard input.
func (c *CLI) RunInput(input string, args ...string) Result {
	c.t.Helper()
	cmd := c.Command(args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatalf("hull %s: %v", strings.Join(args, " "), err)
	}
	return Result{Stdout: out.String(), Stderr: errs.String(), Code: cmd.ProcessState.ExitCode()}
}

// Command is a hull command line against this Hull that has not started.
func (c *CLI) Command(args ...string) *exec.Cmd { return c.command(c.t.Context(), args...) }

func (c *CLI) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, "hull"), args...)
	cmd.Env = append(os.Environ(), "HULL_ROOT="+c.Root, "HULL_STATE="+c.State)
	return cmd
}

// Must runs hull and fails the test unless it exits 0; it returns standard output.
func (c *CLI) Must(args ...string) string {
	c.t.Helper()
	r := c.Run(args...)
	if r.Code != 0 {
		c.t.Fatalf("hull %s: exit code %d\n%s%s\nhulld's log:\n%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr, c.Log())
	}
	return r.Stdout
}

// Apply applies a manifest that is given as text.
func (c *CLI) Apply(manifest string) {
	c.t.Helper()
	if r := c.RunInput(manifest, "apply", "-f", "-"); r.Code != 0 {
		c.t.Fatalf("hull apply: exit code %d\n%s%s\nhulld's log:\n%s", r.Code, r.Stdout, r.Stderr, c.Log())
	}
}

// Log is what keeper and hulld have written, for a test that failed.
func (c *CLI) Log() string {
	data, err := os.ReadFile(filepath.Join(c.State, "hulld.log"))
	if err != nil {
		return err.Error()
	}
	return string(data)
}
