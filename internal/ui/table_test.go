package ui

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestACellIsOneLine: what an image or a container says stays in its own cell, and forges no row.
func TestACellIsOneLine(t *testing.T) {
	p, err := NewPrinter(PrinterOptions{Resource: "events"})
	if err != nil {
		t.Fatal(err)
	}
	table := []byte(`{"columnDefinitions":[{"name":"Object"},{"name":"Message"}],"rows":[
		{"cells":["pod/a","it said\nother    Started"]},{"cells":["pod/b","over\rwritten"]},{"cells":["pod/c","a \u001b[2Jpage\ffeed"]}]}`)
	var out strings.Builder
	if _, err := p.List(&out, json.RawMessage(table)); err != nil {
		t.Fatal(err)
	}
	want := "OBJECT   MESSAGE\npod/a    it said...\npod/b    over...\npod/c    a \\x1b[2Jpage...\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
