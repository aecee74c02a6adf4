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

// TestATableIsHarmless: the paths of a manifest's mounts may be anything.
func TestATableIsHarmless(t *testing.T) {
	var out strings.Builder
	if err := WriteTable(&out, [][]string{{"VOLUME", "AT"}, {"v", "/a\x1b]0;title\a"}, {"w", "/b\nfake"}}); err != nil {
		t.Fatal(err)
	}
	if want := "VOLUME   AT\nv        /a\\x1b]0;title\\a\nw        /b...\n"; out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
