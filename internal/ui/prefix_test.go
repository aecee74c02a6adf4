package ui

import (
	"bytes"
	"io"
	"testing"
)

func TestPrefixer(t *testing.T) {
	var out bytes.Buffer
	p := NewPrefixer(&out)
	a, b := p.Writer("a: "), p.Writer("b: ")
	for _, w := range []struct {
		to   io.Writer
		text string
	}{{a, "one\n\ntw"}, {b, "three\n"}, {a, "o\nfour"}} {
		if n, err := io.WriteString(w.to, w.text); n != len(w.text) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
	}
	if err := a.Flush(); err != nil {
		t.Fatal(err)
	}
	if want := "a: one\na: \nb: three\na: two\na: four\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
