package stdio

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// TestHeld: what the keeper holds is in the order in which the next hulld looks for it, and the process' ends are what they say.
func TestHeld(t *testing.T) {
	for _, c := range []struct {
		tty, stdin, once bool
		held             int
	}{
		{false, false, false, 1 + 4},
		{false, true, false, 1 + 4 + 1},
		{false, true, true, 1 + 4}, // the end of the first client's input is the container's
		{true, false, false, 1 + 1},
		{true, true, false, 1 + 1}, // the terminal is its input
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			before := hulltest.Descriptors(t)
			s, err := Make(&record.ContainerConfig{TTY: c.tty, Stdin: c.stdin, StdinOnce: c.once})
			if err != nil {
				t.Fatal(err)
			}
			held := s.Held()
			if len(held) != c.held {
				t.Fatalf("%d descriptors are held", len(held))
			}
			said(t, s.Witness, held[0])
			if !c.tty {
				said(t, s.Stdout, held[1])
				said(t, s.Stderr, held[2])
				if len(s.Ends) != logs.Ends(false) {
					t.Errorf("%d ends of the log", len(s.Ends))
				}
			}
			if (s.Stdin != nil) != (c.stdin && !c.tty) {
				t.Errorf("its input is %v", s.Stdin)
			}
			if s.Stdin != nil {
				said(t, s.Input, s.Stdin)
				if !c.once && held[5] != s.Input {
					t.Error("its input is not behind the log")
				}
				_ = s.Input.Close()
			}
			s.CloseTheirs()
			if err := s.CloseOurs(); err != nil {
				t.Error(err)
			}
			if left := hulltest.Descriptors(t) - before; left != 0 {
				t.Errorf("%d descriptors are left", left)
			}
		})
	}
}

// said wants what is written at the one end to come out at the other.
func said(t *testing.T, in, out *os.File) {
	t.Helper()
	if _, err := in.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	if _, err := io.ReadFull(out, b); err != nil || b[0] != 'x' {
		t.Errorf("got %q, %v", b, err)
	}
}
