// Package console is where a command reads from and writes to, and the code that it exits with.
package console

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/hull-pods/hull/internal/ui"
)

// Console is a command's three streams.
type Console struct {
	In       io.Reader
	Out, Err io.Writer
}

// Printf writes to standard output what a terminal may show.
func (c *Console) Printf(format string, args ...any) {
	_, _ = io.WriteString(c.Out, ui.Printable(fmt.Sprintf(format, args...)))
}

// Warnf writes to standard error what a terminal may show.
func (c *Console) Warnf(format string, args ...any) {
	_, _ = io.WriteString(c.Err, ui.Printable(fmt.Sprintf(format, args...)))
}

// Input is standard input for as long as ctx is not over: who waits for what is typed can go.
func (c *Console) Input(ctx context.Context) io.Reader { return input{ctx, c.In} }

type input struct {
	ctx context.Context
	in  io.Reader
}

func (r input) Read(p []byte) (int, error) {
	var n int
	var err error
	read := make(chan struct{})
	own := make([]byte, len(p)) // a read that nobody waits for may still end
	go func() {
		defer close(read)
		n, err = r.in.Read(own)
	}()
	select {
	case <-read:
		return copy(p, own[:n]), err
	case <-r.ctx.Done():
		return 0, context.Cause(r.ctx)
	}
}

// PrintAs prints a value as "json" or "yaml".
func (c *Console) PrintAs(format string, v any) error {
	var data []byte
	var err error
	switch format {
	case "yaml":
		data, err = yaml.Marshal(v)
	case "json":
		data, err = json.MarshalIndent(v, "", "  ")
		data = append(data, '\n')
	default:
		return fmt.Errorf(`--output must be "yaml" or "json"`)
	}
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	_, err = c.Out.Write(data)
	return err
}

// Args wants between so many arguments, and says, as kubectl does, how the command is used. What is what there must be at least
// one of.
func Args(usage, what string, least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && (most < 0 || len(args) <= most) {
			return nil
		}
		missing := ""
		if len(args) < least {
			missing = fmt.Sprintf("\n%s is a required argument for the %s command", what, strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" "))
		}
		return fmt.Errorf("expected '%s'.%s\nSee '%s -h' for help and examples", usage, missing, cmd.CommandPath())
	}
}

// Group makes a command that only has others below it, which else shows its help for every word and exits 0.
func Group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// Interrupted is a shell's code for a command that SIGINT ended.
const Interrupted = 130

// CodeError ends the program with a code of its own, and prints its text if it has one.
type CodeError struct {
	Code int
	Err  error
}

// Error is the text of what went wrong; "" when the code says all.
func (e *CodeError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

// Unwrap is what went wrong.
func (e *CodeError) Unwrap() error { return e.Err }
