package image

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/hull-pods/hull/internal/hulltest"
)

// fixture is a store, and a registry on loopback that stands in for docker.io.
type fixture struct {
	*Store
	config Config
	server *httptest.Server
	// intercept, when set, sees each request first and says whether it has answered it.
	intercept atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

// on sets what sees requests first; nil is nothing.
func (f *fixture) on(fn func(http.ResponseWriter, *http.Request) bool) { f.intercept.Store(&fn) }

func newFixture(t testing.TB) *fixture {
	t.Helper()
	hulltest.NeedRoot(t)
	f := &fixture{}
	reg := registry.New(registry.Logger(quiet()))
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fn := f.intercept.Load(); fn != nil && *fn != nil && (*fn)(w, r) {
			return
		}
		reg.ServeHTTP(w, r)
	}))
	t.Cleanup(f.server.Close)
	certs := t.TempDir()
	mirror(t, certs, "docker.io", f.server.URL)
	f.config = Config{Root: filepath.Join(t.TempDir(), "images"), RegistryConfig: certs, Log: slog.New(slog.DiscardHandler)}
	f.reopen(t)
	t.Cleanup(func() {
		if f.Store == nil {
			return
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// reopen opens the store, after closing it if it is open.
func (f *fixture) reopen(t testing.TB) {
	t.Helper()
	if f.Store != nil {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(t.Context(), f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.Store = s
}

func mirror(t testing.TB, certs, host, url string) {
	t.Helper()
	dir := filepath.Join(certs, host)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	toml := fmt.Sprintf("server = %q\n[host.%q]\ncapabilities = [\"pull\", \"resolve\"]\n", url, url)
	if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(toml), 0o644); err != nil {
		t.Fatal(err)
	}
}

// push puts an image into the registry under a name that docker.io would have it.
func (f *fixture) push(t testing.TB, ref string, img v1.Image) {
	t.Helper()
	if err := remote.Write(f.ref(t, ref), img); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) ref(t testing.TB, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(strings.TrimPrefix(f.server.URL, "http://") + "/" + ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func randomImage(t testing.TB, size, layers int64) v1.Image {
	t.Helper()
	img, err := random.Image(size, layers)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func withConfig(t testing.TB, img v1.Image, change func(*v1.ConfigFile)) v1.Image {
	t.Helper()
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	change(cfg)
	img, err = mutate.ConfigFile(img, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func (f *fixture) pull(t testing.TB, ref string) Image {
	t.Helper()
	img, err := f.Pull(t.Context(), ref, PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPull(t *testing.T) {
	f := newFixture(t)
	img := withConfig(t, randomImage(t, 4096, 3), func(c *v1.ConfigFile) {
		c.OS, c.Architecture = "linux", goarch()
		c.Created = v1.Time{Time: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)}
		c.Config = v1.Config{
			User: "1000:50", Env: []string{"PATH=/bin", "A=b"}, Entrypoint: []string{"/bin/a"}, Cmd: []string{"-x"}, WorkingDir: "/w", StopSignal: "SIGQUIT",
			Volumes: map[string]struct{}{"/data": {}}, ExposedPorts: map[string]struct{}{"80/tcp": {}}, Labels: map[string]string{"k": "v"},
		}
	})
	f.push(t, "library/nginx:latest", img)
	var last Progress
	got, err := f.Pull(t.Context(), "nginx", PullOptions{Progress: func(p Progress) { last = p }})
	if err != nil {
		t.Fatal(err)
	}
	id, _ := img.ConfigName()
	digest, _ := img.Digest()
	if got.ID != id.String() || fmt.Sprint(got.Names) != "[docker.io/library/nginx:latest]" ||
		fmt.Sprint(got.Digests) != "[docker.io/library/nginx@"+digest.String()+"]" {
		t.Errorf("pulled %+v", got)
	}
	want := "{1000:50 [PATH=/bin A=b] [/bin/a] [-x] /w SIGQUIT [/data] [80/tcp] map[k:v]}"
	if fmt.Sprint(got.Config) != want {
		t.Errorf("config %v, want %s", got.Config, want)
	}
	if got.Platform != "linux/"+goarch() || got.CreatedAt.Year() != 2024 || got.PulledAt.IsZero() || got.Size == 0 {
		t.Errorf("pulled %+v", got)
	}
	if len(last.Layers) != 3 || last.Ref != "docker.io/library/nginx:latest" || last.Digest != digest.String() {
		t.Errorf("last progress %+v", last)
	}
	for _, l := range last.Layers {
		if l.State != LayerDone || l.Done != l.Size {
			t.Errorf("layer in the last progress: %+v", l)
		}
	}
	for _, ref := range []string{"nginx", "nginx:latest", "docker.io/library/nginx", "nginx@" + digest.String(), got.ID, id.Hex, id.Hex[:12]} {
		if same, err := f.Get(t.Context(), ref); err != nil || same.ID != got.ID {
			t.Errorf("Get(%s): %v %v", ref, same.ID, err)
		}
	}
	f.checkLayers(t, got.ID, img)

	f.reopen(t)
	if again, err := f.Get(t.Context(), "nginx"); err != nil || fmt.Sprint(again) != fmt.Sprint(got) {
		t.Errorf("after reopening: %+v, %v; want %+v", again, err, got)
	}
}

// checkLayers compares the unpacked directories with the image's layers: random layers have one file each.
func (f *fixture) checkLayers(t testing.TB, id string, img v1.Image) {
	t.Helper()
	dirs, err := f.Layers(t.Context(), id, "test")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release(context.Background(), "test") //nolint:errcheck // never fails
	layers, _ := img.Layers()
	if len(dirs) != len(layers) {
		t.Fatalf("%d directories for %d layers", len(dirs), len(layers))
	}
	for i, l := range layers {
		names := entryNames(t, l)
		for _, n := range names {
			if _, err := os.Lstat(filepath.Join(dirs[len(dirs)-1-i], n)); err != nil {
				t.Error(err)
			}
		}
	}
}

// benchFixture is a store with one image, nginx:1.7.9.
func benchFixture(b *testing.B) *fixture {
	b.Helper()
	f := newFixture(b)
	img, err := random.Image(1000, 5)
	if err != nil {
		b.Fatal(err)
	}
	f.push(b, "library/nginx:1.7.9", img)
	f.pull(b, "nginx:1.7.9")
	return f
}
