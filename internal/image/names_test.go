package image

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestNormalize(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for ref, want := range map[string]string{
		"nginx":                    "docker.io/library/nginx:latest",
		"nginx:1.7.9":              "docker.io/library/nginx:1.7.9",
		"dolphintwo/pod-sample:v2": "docker.io/dolphintwo/pod-sample:v2",
		"localhost:5000/x":         "localhost:5000/x:latest",
		"localhost/hull/toolbox":   "localhost/hull/toolbox:latest",
		"nginx:1@" + digest:        "docker.io/library/nginx@" + digest,
		"":                         "", "UPPER": "", "a//b": "", "a:b:c": "", "nginx@sha256:12": "", "-x": "",
	} {
		got, err := Normalize(ref)
		if got != want || want == "" && !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %q, %v; want %q", ref, got, err, want)
		}
	}
}

// FuzzNormalize: what is normal stays as it is.
func FuzzNormalize(f *testing.F) {
	f.Add("nginx")
	f.Add("localhost:5000/a/b:c")
	f.Fuzz(func(t *testing.T, ref string) {
		once, err := Normalize(ref)
		if err != nil {
			return
		}
		if twice, err := Normalize(once); err != nil || twice != once {
			t.Errorf("%q is %q, and that is %q, %v", ref, once, twice, err)
		}
	})
}

// FuzzDocument: no bytes are taken for a manifest and for an index.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{},"layers":[]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`))
	f.Add([]byte(`{"config":{},"manifests":[],"mediaType":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var doc map[string]json.RawMessage
		if json.Unmarshal(b, &doc) != nil || len(doc["layers"]) == 0 && len(doc["manifests"]) == 0 {
			return // neither of the two
		}
		manifest := unambiguous("application/vnd.oci.image.manifest.v1+json", b) == nil
		index := unambiguous("application/vnd.oci.image.index.v1+json", b) == nil
		if manifest && index {
			t.Errorf("both a manifest and an index: %s", b)
		}
	})
}

func TestRepository(t *testing.T) {
	const d = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for name, want := range map[string]string{
		"docker.io/library/x:1": "docker.io/library/x", "docker.io/library/x" + d: "docker.io/library/x",
		"localhost:5000/x:1": "localhost:5000/x", "localhost:5000/x" + d: "localhost:5000/x", "localhost:5000/x": "localhost:5000/x",
	} {
		if got := repository(name); got != want {
			t.Errorf("%s is of %s, want %s", name, got, want)
		}
	}
}
