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

// TestEach: before a watch, a list's items are printed as the watch prints what comes after.
func TestEach(t *testing.T) {
	list := []byte(`{"kind":"PodList","items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`)
	for output, want := range map[string]string{
		"jsonpath={.kind}={.metadata.name};": "Pod=a;Pod=b;",
		"name":                               "pod/a\npod/b\n",
		"yaml":                               "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: b\n",
	} {
		p, err := NewPrinter(PrinterOptions{Output: output, Resource: "pods", Each: true})
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if n, err := p.List(&out, list); err != nil || n != 2 || out.String() != want {
			t.Errorf("%s: %d %v %q, want %q", output, n, err, out.String(), want)
		}
	}
}
