package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// manifest is one object of a file, as its author wrote it: the server decodes it, strictly.
type manifest struct {
	source    string // for errors: "pod.yaml"
	data      []byte
	kind      string
	name      string // empty with generateName
	namespace string // as written; may be empty
}

type manifestHead struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name         string `json:"name"`
		GenerateName string `json:"generateName"`
		Namespace    string `json:"namespace"`
	} `json:"metadata"`
	Items []any `json:"items"`
}

// manifestLimit bounds one file: the API server takes no object larger than 3 MiB either.
const manifestLimit = 16 << 20

// readManifests reads files, directories (their .yaml, .yml and .json files, in order) and "-" for standard input.
func (a *app) readManifests(paths []string) ([]manifest, error) {
	var all []manifest
	for _, p := range paths {
		list, err := a.readPath(p)
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

func (a *app) readPath(path string) ([]manifest, error) {
	if path == "-" {
		return a.readManifest("STDIN", a.in)
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
		if files, err = manifestsIn(path); err != nil {
			return nil, err
		}
	}
	var all []manifest
	for _, f := range files {
		r, err := os.Open(f)
		if err != nil {
			return nil, err
		}
		list, err := a.readManifest(f, r)
		_ = r.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

func manifestsIn(dir string) ([]string, error) {
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

func (a *app) readManifest(source string, r io.Reader) ([]manifest, error) {
	data, err := io.ReadAll(io.LimitReader(r, manifestLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", source, err)
	}
	if len(data) > manifestLimit {
		return nil, fmt.Errorf("read %s: larger than %d bytes", source, manifestLimit)
	}
	var list []manifest
	for _, doc := range splitYAML(data) {
		ms, err := parseManifest(source, doc)
		if err != nil {
			return nil, err
		}
		list = append(list, ms...)
	}
	return list, nil
}

// splitYAML cuts a stream at its "---" lines, and drops documents of comments alone.
func splitYAML(data []byte) [][]byte {
	var docs [][]byte
	var doc bytes.Buffer
	content := false
	flush := func() {
		if content {
			docs = append(docs, bytes.Clone(doc.Bytes()))
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
		if t := bytes.TrimSpace(text); len(t) > 0 && t[0] != '#' {
			content = true
		}
		doc.Write(line)
	}
	flush()
	return docs
}

func parseManifest(source string, doc []byte) ([]manifest, error) {
	var head manifestHead
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return nil, fmt.Errorf("error parsing %s: %w", source, err)
	}
	if head.Kind == "" {
		return nil, fmt.Errorf("error validating %q: kind not set", source)
	}
	if head.APIVersion == "" {
		return nil, fmt.Errorf("error validating %q: apiVersion not set", source)
	}
	if strings.HasSuffix(head.Kind, "List") && head.Items != nil {
		var all []manifest
		for _, item := range head.Items {
			data, err := yaml.Marshal(item)
			if err != nil {
				return nil, fmt.Errorf("error parsing %s: %w", source, err)
			}
			ms, err := parseManifest(source, data)
			if err != nil {
				return nil, err
			}
			all = append(all, ms...)
		}
		return all, nil
	}
	if head.APIVersion != "v1" || head.Kind != "Pod" {
		return nil, fmt.Errorf("unable to recognize %q: no matches for kind %q in version %q (hull runs Pods)", source, head.Kind, head.APIVersion)
	}
	return []manifest{{source: source, data: doc, kind: head.Kind, name: head.Metadata.Name, namespace: head.Metadata.Namespace}}, nil
}
