package ui

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestYAMLDocuments(t *testing.T) {
	p, err := NewPrinter(PrinterOptions{Output: "yaml", Resource: "pods"})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for range 2 {
		if err := p.Objects(&out, []json.RawMessage{[]byte(`{"kind":"Pod"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "kind: Pod\n---\nkind: Pod\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
