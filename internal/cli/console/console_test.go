package console

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"
)

func TestInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(r.Close(), w.Close()) }()
	ctx, cancel := context.WithCancelCause(t.Context())
	c := Console{In: r}
	in := c.Input(ctx)
	if _, err := w.WriteString("typed"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 10)
	if n, err := in.Read(buf); err != nil || string(buf[:n]) != "typed" {
		t.Errorf("%q %v", buf[:n], err)
	}
	// Nothing comes any more.
	interrupted := errors.New("interrupted")
	cancel(interrupted)
	if _, err := io.ReadAll(in); !errors.Is(err, interrupted) {
		t.Errorf("%v, want %v", err, interrupted)
	}
}
