// Package manifest reads files of objects, and takes them apart without a look at what the server decides about.
package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Manifest is one object of a file, as its author wrote it: the server decodes it, strictly.
type Manifest struct {
	Source    string // for errors: "pod.yaml"
	Data      []byte
	Name      string // empty with generateName
	Namespace string // as written; may be empty
}

// head is what is looked at here. What of it has not the form that it should have, is told by the server, but for what the thing is.
type head struct {
	APIVersion any             `json:"apiVersion"`
	Kind       any             `json:"kind"`
	Metadata   json.RawMessage `json:"metadata"`
	Items      json.RawMessage `json:"items"`
}

// limit bounds one file: the API server takes no object larger than 3 MiB either.
const limit = 16 << 20

// Read reads files, directories (their .yaml, .yml and .json files, in order) and "-" for standard input, which is in. If there are
// objects beside an error, it is about others among the documents.
func Read(paths []string, in io.Reader) ([]Manifest, error) {
	var all []Manifest
	var bad []error
	for _, p := range paths {
		list, wrong, err := readPath(p, in)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
		bad = append(bad, wrong...)
	}
	if len(all) == 0 && len(bad) == 0 {
		return nil, errors.New("no objects passed to apply")
	}
	return all, errors.Join(bad...)
}

func readPath(path string, in io.Reader) (all []Manifest, bad []error, err error) {
	if path == "-" {
		return readStream("STDIN", in)
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("the path %q does not exist", path)
	}
	if err != nil {
		return nil, nil, err
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filesIn(path); err != nil {
			return nil, nil, err
		}
	}
	for _, f := range files {
		r, err := os.Open(f)
		if err != nil {
			return nil, nil, err
		}
		list, wrong, err := readStream(f, r)
		_ = r.Close()
		if err != nil {
			return nil, nil, err
		}
		all = append(all, list...)
		bad = append(bad, wrong...)
	}
	return all, bad, nil
}

func filesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, ext) {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("error reading [%s]: recognized file extensions are [.json .yaml .yml]", dir)
	}
	return files, nil
}

func readStream(source string, r io.Reader) (all []Manifest, bad []error, err error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", source, err)
	}
	if len(data) > limit {
		return nil, nil, fmt.Errorf("read %s: larger than %d bytes", source, limit)
	}
	for _, doc := range splitYAML(data) {
		list, err := parse(source, doc)
		all = append(all, list...)
		if err != nil {
			bad = append(bad, err)
		}
	}
	return all, bad, nil
}

// document is a part of a file.
type document struct {
	data []byte
	line int // how many lines are above it
}

// splitYAML cuts a stream at its "---" and "..." lines, and between JSON objects, and drops documents of comments alone.
func splitYAML(data []byte) []document {
	var docs []document
	var doc bytes.Buffer
	content, begin, lines := false, 0, 0
	flush := func() {
		if content {
			for _, d := range splitJSON(bytes.Clone(doc.Bytes())) {
				docs = append(docs, document{d, begin})
			}
		}
		doc.Reset()
		content, begin = false, lines
	}
	for line := range bytes.Lines(data) {
		if rest, ok := afterMark(line); ok {
			flush()
			line = rest
		}
		content = content || !empty(line)
		doc.Write(line)
		lines++
	}
	flush()
	return docs
}

// afterMark is what a line that ends a document, or begins one, has behind that: nothing, a comment, or already some of the next one.
func afterMark(line []byte) ([]byte, bool) {
	for _, mark := range []string{"---", "..."} {
		if rest, ok := bytes.CutPrefix(line, []byte(mark)); ok && (len(rest) == 0 || bytes.ContainsAny(rest[:1], " \t\r\n")) {
			return bytes.TrimLeft(rest, " \t"), true
		}
	}
	return nil, false
}

// empty tells whether there are only comments.
func empty(data []byte) bool {
	for line := range bytes.Lines(data) {
		if t := bytes.TrimSpace(line); len(t) > 0 && t[0] != '#' {
			return false
		}
	}
	return true
}

// splitJSON cuts a stream of JSON objects, of which YAML would read the first alone. All else is one document.
func splitJSON(data []byte) (docs [][]byte) {
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		rest := data[d.InputOffset():]
		var doc json.RawMessage
		switch err := d.Decode(&doc); {
		case err == nil && doc[0] == '{':
			docs = append(docs, doc)
		case len(docs) > 0 && empty(rest):
			return docs
		default:
			return append(docs, rest)
		}
	}
}

func parse(source string, doc document) ([]Manifest, error) {
	var h head
	err := yaml.Unmarshal(doc.data, &h)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		return nil, fmt.Errorf("error validating %q: error validating data: invalid object to validate: its type is %s", source, wrong.Value)
	}
	if err != nil {
		// Once more with all that is above it, for the number of the line.
		err = yaml.Unmarshal(append(bytes.Repeat([]byte("\n"), doc.line), doc.data...), &h)
		return nil, fmt.Errorf("error parsing %s: %w", source, err)
	}
	kind, err := word(source, "kind", h.Kind)
	if err != nil {
		return nil, err
	}
	version, err := word(source, "apiVersion", h.APIVersion)
	if err != nil {
		return nil, err
	}
	if one, ok := strings.CutSuffix(kind, "List"); ok {
		return items(source, doc.line, h.Items, version, one)
	}
	if version != "v1" || kind != "Pod" {
		return nil, fmt.Errorf("unable to recognize %q: no matches for kind %q in version %q (hull runs Pods)", source, kind, version)
	}
	var meta struct{ Name, Namespace any }
	_ = json.Unmarshal(h.Metadata, &meta) // what is wrong with it, the server says
	name, _ := meta.Name.(string)
	namespace, _ := meta.Namespace.(string)
	return []Manifest{{Source: source, Data: doc.data, Name: name, Namespace: namespace}}, nil
}

// word is a field that must be there, and be a string.
func word(source, field string, value any) (string, error) {
	text, ok := value.(string)
	switch {
	case value == nil, ok && text == "":
		return "", fmt.Errorf("error validating %q: %s not set", source, field)
	case !ok:
		return "", fmt.Errorf("error validating %q: error validating data: %s isn't string type", source, field)
	}
	return text, nil
}

// items takes a list apart. Those of a typed one, a PodList, need not say what they are.
func items(source string, line int, data json.RawMessage, version, kind string) (all []Manifest, err error) {
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("error validating %q: error validating data: %sList without a list of items", source, kind)
	}
	var bad []error
	for _, item := range list {
		fields := map[string]json.RawMessage{}
		if kind != "" && json.Unmarshal(item, &fields) == nil && fields["kind"] == nil && fields["apiVersion"] == nil {
			fields["apiVersion"], _ = json.Marshal(version)
			fields["kind"], _ = json.Marshal(kind)
			item, _ = json.Marshal(fields)
		}
		ms, err := parse(source, document{item, line})
		all = append(all, ms...)
		if err != nil {
			bad = append(bad, err)
		}
	}
	return all, errors.Join(bad...)
}
