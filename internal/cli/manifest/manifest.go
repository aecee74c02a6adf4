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

type head struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name         string `json:"name"`
		GenerateName string `json:"generateName"`
		Namespace    string `json:"namespace"`
	} `json:"metadata"`
	Items []any `json:"items"`
}

// limit bounds one file: the API server takes no object larger than 3 MiB either.
const limit = 16 << 20

// Read reads files, directories (their .yaml, .yml and .json files, in order) and "-" for standard input, which is in.
func Read(paths []string, in io.Reader) ([]Manifest, error) {
	var all []Manifest
	for _, p := range paths {
		list, err := readPath(p, in)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	if len(all) == 0 {
		return nil, errors.New("no objects passed to apply")
	}
	return all, nil
}

func readPath(path string, in io.Reader) ([]Manifest, error) {
	if path == "-" {
		return readStream("STDIN", in)
	}
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("the path %q does not exist", path)
	}
	if err != nil {
		return nil, err
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filesIn(path); err != nil {
			return nil, err
		}
	}
	var all []Manifest
	for _, f := range files {
		r, err := os.Open(f)
		if err != nil {
			return nil, err
		}
		list, err := readStream(f, r)
		_ = r.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
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

func readStream(source string, r io.Reader) ([]Manifest, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", source, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("read %s: larger than %d bytes", source, limit)
	}
	var list []Manifest
	for _, doc := range splitYAML(data) {
		ms, err := parse(source, doc)
		if err != nil {
			return nil, err
		}
		list = append(list, ms...)
	}
	return list, nil
}

// splitYAML cuts a stream at its "---" lines, and between JSON objects, and drops documents of comments alone.
func splitYAML(data []byte) [][]byte {
	var docs [][]byte
	var doc bytes.Buffer
	content := false
	flush := func() {
		if content {
			docs = append(docs, splitJSON(bytes.Clone(doc.Bytes()))...)
		}
		doc.Reset()
		content = false
	}
	for line := range bytes.Lines(data) {
		text := bytes.TrimRight(line, " \t\r\n")
		if bytes.Equal(text, []byte("---")) || bytes.HasPrefix(text, []byte("--- ")) {
			flush()
			continue
		}
		content = content || !empty(text)
		doc.Write(line)
	}
	flush()
	return docs
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

func parse(source string, doc []byte) ([]Manifest, error) {
	var h head
	err := yaml.Unmarshal(doc, &h)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) && wrong.Field == "" {
		return nil, fmt.Errorf("error validating %q: error validating data: invalid object to validate: it is a %s", source, wrong.Value)
	}
	if err != nil {
		return nil, fmt.Errorf("error parsing %s: %w", source, err)
	}
	if h.Kind == "" {
		return nil, fmt.Errorf("error validating %q: kind not set", source)
	}
	if h.APIVersion == "" {
		return nil, fmt.Errorf("error validating %q: apiVersion not set", source)
	}
	if strings.HasSuffix(h.Kind, "List") && h.Items != nil {
		var all []Manifest
		for _, item := range h.Items {
			data, err := yaml.Marshal(item)
			if err != nil {
				return nil, fmt.Errorf("error parsing %s: %w", source, err)
			}
			ms, err := parse(source, data)
			if err != nil {
				return nil, err
			}
			all = append(all, ms...)
		}
		return all, nil
	}
	if h.APIVersion != "v1" || h.Kind != "Pod" {
		return nil, fmt.Errorf("unable to recognize %q: no matches for kind %q in version %q (hull runs Pods)", source, h.Kind, h.APIVersion)
	}
	return []Manifest{{Source: source, Data: doc, Name: h.Metadata.Name, Namespace: h.Metadata.Namespace}}, nil
}
