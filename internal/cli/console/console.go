// Package console is where a command reads from and writes to, and the code that it exits with.
package console

import (
	"encoding/json"
	"fmt"
	"io"

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
