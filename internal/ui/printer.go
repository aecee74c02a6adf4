// Package ui draws what the CLI shows: tables, objects, progress bars, prefixed log lines.
package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"
)

// PrinterOptions are get's flags.
type PrinterOptions struct {
	Output     string // "", wide, yaml, json, name, jsonpath=…
	Resource   string // "pods"
	Namespaces bool   // a NAMESPACE column
	NoHeaders  bool
	Labels     bool
	Each       bool // the items of a list one by one, as what a watch tells after it
	Several    bool // more than one object was asked for: a list, also if it has but one
}

// Printer prints objects, lists and watch events in one form.
type Printer struct {
	o         PrinterOptions
	path      *jsonpath.JSONPath
	seen      bool // the column names have been printed
	cols      []int
	documents int // YAML documents so far

	last []int // widths of the columns so far, so that a watch stays aligned
}

// NewPrinter checks the form before anything is asked of the server.
func NewPrinter(o PrinterOptions) (*Printer, error) {
	p := &Printer{o: o}
	form, template, _ := strings.Cut(o.Output, "=")
	switch {
	case slices.Contains([]string{"", "wide", "yaml", "json", "name"}, o.Output):
	case form == "jsonpath" && template != "":
		p.path = jsonpath.New("out").AllowMissingKeys(true)
		if err := p.path.Parse(relaxed(template)); err != nil {
			return nil, fmt.Errorf("error parsing jsonpath %s, %w", template, err)
		}
	case form == "jsonpath":
		return nil, errors.New("template format specified but no template given")
	default:
		return nil, fmt.Errorf("unable to match a printer suitable for the output format %q, allowed formats are: json,jsonpath=...,name,wide,yaml", o.Output)
	}
	return p, nil
}

// relaxed accepts ".status.podIP" and "{.status.podIP}" alike, as kubectl does for its columns.
func relaxed(template string) string {
	if strings.Contains(template, "{") {
		return template
	}
	return "{" + "." + strings.TrimPrefix(template, ".") + "}"
}

// Table tells whether the server shall answer with a table.
func (p *Printer) Table() bool { return p.o.Output == "" || p.o.Output == "wide" }

// Objects prints objects, or tables of one each: a single one as it is, others as a list.
func (p *Printer) Objects(w io.Writer, objects []json.RawMessage) error {
	switch {
	case p.Table():
		var all table
		for _, data := range objects {
			var t table
			if err := json.Unmarshal(data, &t); err != nil {
				return fmt.Errorf("decode a table: %w", err)
			}
			if len(t.Columns) > 0 {
				all.Columns = t.Columns
			}
			all.Rows = append(all.Rows, t.Rows...)
		}
		return p.table(w, all)
	case len(objects) == 1 && !p.o.Several:
		return p.one(w, objects[0])
	}
	list, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": ""}, "items": objects})
	if err != nil {
		return err
	}
	_, err = p.List(w, list)
	return err
}

// List prints a list as the server sent it, and returns how many items it has.
func (p *Printer) List(w io.Writer, data []byte) (int, error) {
	if p.Table() {
		var t table
		if err := json.Unmarshal(data, &t); err != nil {
			return 0, fmt.Errorf("decode a table: %w", err)
		}
		if len(t.Rows) == 0 {
			return 0, p.remember(t)
		}
		return len(t.Rows), p.table(w, t)
	}
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return 0, fmt.Errorf("decode a list: %w", err)
	}
	items, err := withKind(list.Items, p.o.Resource)
	if err != nil {
		return 0, err
	}
	if p.o.Each || p.o.Output == "name" {
		for _, item := range items {
			if err := p.object(w, item); err != nil {
				return 0, err
			}
		}
		return len(items), nil
	}
	whole, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": ""}, "items": items})
	if err != nil {
		return 0, err
	}
	return len(list.Items), p.one(w, whole)
}

// withKind gives the items of a typed list, which do not repeat it, their kind.
func withKind(items []json.RawMessage, resource string) ([]map[string]any, error) {
	kind := map[string]string{"pods": "Pod", "events": "Event"}[resource]
	list := make([]map[string]any, len(items))
	for i, item := range items {
		if err := json.Unmarshal(item, &list[i]); err != nil {
			return nil, fmt.Errorf("decode a list: %w", err)
		}
		if list[i]["kind"] == nil {
			list[i]["apiVersion"], list[i]["kind"] = "v1", kind
		}
	}
	return list, nil
}

func (p *Printer) one(w io.Writer, data []byte) error {
	var obj map[string]any
	if err := json.Unmarshal(data, &obj); err != nil {
		return fmt.Errorf("decode an object: %w", err)
	}
	return p.object(w, obj)
}

func (p *Printer) object(w io.Writer, obj map[string]any) error {
	hideManagedFields(obj)
	switch {
	case p.path != nil:
		if err := p.path.Execute(w, obj); err != nil {
			return fmt.Errorf("error executing jsonpath: %w", err)
		}
		return nil
	case p.o.Output == "name":
		meta, _ := obj["metadata"].(map[string]any)
		_, err := fmt.Fprintf(w, "%s/%v\n", strings.TrimSuffix(p.o.Resource, "s"), meta["name"])
		return err
	case p.o.Output == "yaml":
		out, err := yaml.Marshal(obj)
		if err != nil {
			return fmt.Errorf("encode an object: %w", err)
		}
		if p.documents++; p.documents > 1 { // a watch prints several
			out = append([]byte("---\n"), out...)
		}
		_, err = w.Write(out)
		return err
	default:
		out, err := json.MarshalIndent(obj, "", "    ")
		if err != nil {
			return fmt.Errorf("encode an object: %w", err)
		}
		_, err = w.Write(append(out, '\n'))
		return err
	}
}

// hideManagedFields leaves out what kubectl leaves out too.
func hideManagedFields(obj map[string]any) {
	if meta, ok := obj["metadata"].(map[string]any); ok {
		delete(meta, "managedFields")
	}
	items, _ := obj["items"].([]any)
	for _, item := range items {
		if o, ok := item.(map[string]any); ok {
			hideManagedFields(o)
		}
	}
}
