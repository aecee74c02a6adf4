package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func isBlob(r *http.Request, digest string) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/blobs/"+digest)
}

// lowest returns the digest of an image's lowest layer, and its packed bytes.
func lowest(t *testing.T, img v1.Image) (string, []byte) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	d, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	rc, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return d.String(), b
}

func TestPullErrors(t *testing.T) {
	f := newFixture(t)
	f.config.Stall, f.config.KeepPartial = 100*time.Millisecond, -1
	f.reopen(t)
	img := randomImage(t, 64<<10, 2)
	f.push(t, "library/x:latest", img)
	digest, packed := lowest(t, img)
	release := make(chan struct{})
	defer close(release)
	hang := func(r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	status := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			if code == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			}
			w.WriteHeader(code)
			return true
		}
	}
	for _, c := range []struct {
		name, ref string
		intercept func(http.ResponseWriter, *http.Request) bool
		class     func(error) bool
		words     []string
	}{
		{"no such image", "nope", nil, errdefs.IsNotFound, []string{
			`failed to pull and unpack image "docker.io/library/nope:latest": failed to resolve reference "docker.io/library/nope:latest": docker.io/library/nope:latest: not found`}},
		{"no such tag", "x:9", nil, errdefs.IsNotFound, []string{"docker.io/library/x:9: not found"}},
		{"no name", "UPPER CASE", nil, errdefs.IsInvalidArgument, []string{`failed to parse image name "UPPER CASE"`}},
		{"no credentials", "x", status(401), errdefs.IsUnauthorized, []string{"docker.io/library/x:latest", "authorization failed"}},
		{"forbidden", "x", status(403), errdefs.IsPermissionDenied, []string{"403"}},
		{"broken", "x", status(500), errdefs.IsUnavailable, []string{"500"}},
		{"hangs at once", "x", func(_ http.ResponseWriter, r *http.Request) bool { hang(r); return true },
			errdefs.IsUnavailable, []string{"has sent nothing for 100ms"}},
		{"hangs within a layer", "x", func(w http.ResponseWriter, r *http.Request) bool {
			if !isBlob(r, digest) {
				return false
			}
			w.Header().Set("Content-Length", "1000000")
			_, _ = w.Write(packed[:100])
			w.(http.Flusher).Flush()
			hang(r)
			return true
		}, errdefs.IsUnavailable, []string{"has sent nothing for 100ms", digest}},
		{"lies about a layer", "x", func(w http.ResponseWriter, r *http.Request) bool {
			if !isBlob(r, digest) {
				return false
			}
			_, _ = w.Write(bytes.Repeat([]byte("x"), len(packed)))
			return true
		}, errdefs.IsDataLoss, []string{"what was sent is not " + digest}},
		{"sends too much", "x", func(w http.ResponseWriter, r *http.Request) bool {
			if !isBlob(r, digest) {
				return false
			}
			_, _ = w.Write(append(bytes.Clone(packed), "more"...))
			return true
		}, errdefs.IsDataLoss, []string{"what was sent is not " + digest}},
		{"lies about a manifest", "x", func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			m, _ := img.RawManifest()
			_, _ = w.Write(bytes.Replace(m, []byte("sha256:"), []byte("sha256;"), 1))
			return true
		}, errdefs.IsDataLoss, []string{"what was sent is not sha256:"}},
		{"sends a huge manifest", "x", func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Content-Length", "100000000")
			w.Header().Set("Docker-Content-Digest", digest)
			return true
		}, func(error) bool { return true }, []string{"100000000 byte manifest"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.on(c.intercept)
			_, err := f.Pull(t.Context(), c.ref, PullOptions{})
			if err == nil {
				t.Fatal("pulled")
			}
			if !c.class(err) {
				t.Errorf("class of %v", err)
			}
			for _, w := range c.words {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q lacks %q", err, w)
				}
			}
			if _, err := f.Get(t.Context(), "x"); !errdefs.IsNotFound(err) {
				t.Errorf("a failed pull left an image: %v", err)
			}
		})
	}
	f.on(nil)
	f.checkLayers(t, f.pull(t, "x").ID, img)
}

func TestRegistryAway(t *testing.T) {
	f := newFixture(t)
	f.server.Close()
	_, err := f.Pull(t.Context(), "x", PullOptions{})
	if !errdefs.IsUnavailable(err) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v", err)
	}
}

func TestBadRegistryConfig(t *testing.T) {
	f := newFixture(t)
	for _, bad := range []string{"this is not TOML", `server = "http://127.0.0.1:1"` + "\n[host.\"http://127.0.0.1:2\"]\ncapabilities = [\"fly\"]\n"} {
		if err := os.WriteFile(filepath.Join(f.config.RegistryConfig, "docker.io", "hosts.toml"), []byte(bad), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := f.Pull(t.Context(), "x", PullOptions{})
		if err == nil || !strings.Contains(err.Error(), "registry configuration of docker.io") {
			t.Errorf("error %v", err)
		}
	}
}

func TestCredentials(t *testing.T) {
	f := newFixture(t)
	img := randomImage(t, 100, 1)
	f.push(t, "library/x:latest", img)
	f.on(func(w http.ResponseWriter, r *http.Request) bool {
		if user, pass, _ := r.BasicAuth(); user == "u" && pass == "p" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	for _, c := range []*Credentials{nil, {Username: "u", Password: "wrong"}, {Server: "elsewhere.example", Username: "u", Password: "p"}} {
		if _, err := f.Pull(t.Context(), "x", PullOptions{Credentials: c}); !errdefs.IsUnauthorized(err) {
			t.Errorf("with %+v: %v", c, err)
		}
	}
	if _, err := f.Pull(t.Context(), "x", PullOptions{Credentials: &Credentials{Username: "u", Password: "p"}}); err != nil {
		t.Error(err)
	}
}

func TestPlatforms(t *testing.T) {
	f := newFixture(t)
	other := "s390x"
	mine := withConfig(t, randomImage(t, 100, 1), func(c *v1.ConfigFile) { c.OS, c.Architecture = "linux", goarch() })
	theirs := withConfig(t, randomImage(t, 100, 1), func(c *v1.ConfigFile) { c.OS, c.Architecture = "linux", other })
	platform := func(arch string) v1.Descriptor {
		return v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}
	}
	both := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: theirs, Descriptor: platform(other)},
		mutate.IndexAddendum{Add: mine, Descriptor: platform(goarch())})
	one := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: theirs, Descriptor: platform(other)})
	if err := errors.Join(remote.WriteIndex(f.ref(t, "library/both:latest"), both), remote.WriteIndex(f.ref(t, "library/one:latest"), one)); err != nil {
		t.Fatal(err)
	}
	f.push(t, "library/bare:latest", theirs)

	got := f.pull(t, "both")
	if id, _ := mine.ConfigName(); got.ID != id.String() {
		t.Errorf("pulled %s, want %s", got.ID, id)
	}
	if d, _ := both.Digest(); got.Digests[0] != "docker.io/library/both@"+d.String() {
		t.Errorf("digests %v", got.Digests)
	}
	for _, ref := range []string{"one", "bare"} {
		_, err := f.Pull(t.Context(), ref, PullOptions{})
		if !errdefs.IsNotFound(err) || !strings.Contains(err.Error(), "no match for platform in manifest") || !strings.Contains(err.Error(), other) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	// Neither of any length, nor with lines of its own.
	absurd := withConfig(t, randomImage(t, 100, 1), func(c *v1.ConfigFile) { c.OS, c.Architecture = "linux", "x\nforged "+strings.Repeat("y", 1<<20) })
	f.push(t, "library/absurd:latest", absurd)
	var list []mutate.IndexAddendum
	for i := range 1000 {
		list = append(list, mutate.IndexAddendum{Add: theirs, Descriptor: platform(fmt.Sprintf("x\n%d", i))})
	}
	if err := remote.WriteIndex(f.ref(t, "library/many:latest"), mutate.AppendManifests(empty.Index, list...)); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"absurd", "many"} {
		if _, err := f.Pull(t.Context(), ref, PullOptions{}); !errdefs.IsNotFound(err) || len(err.Error()) > 1<<10 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %.2000v", ref, err)
		}
	}
	f.config.Platform = "linux/" + other
	f.reopen(t)
	if got := f.pull(t, "one"); got.Platform != "linux/"+other {
		t.Errorf("platform %s", got.Platform)
	}
}
