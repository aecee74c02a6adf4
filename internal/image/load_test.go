package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/klauspost/compress/zstd"
)

// archives are the forms in which an image comes as a file.
func archives(t *testing.T, img v1.Image) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	tag, err := name.NewTag("example.com/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "docker.tar")
	if err := tarball.WriteToFile(path, tag, img); err != nil {
		t.Fatal(err)
	}
	docker, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	oci := bytes.NewBuffer(packedDir(t, ociLayout(t, img)))
	var gz, zs bytes.Buffer
	zw, _ := zstd.NewWriter(&zs)
	for _, z := range []io.WriteCloser{gzip.NewWriter(&gz), zw} {
		if _, err := z.Write(oci.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return map[string][]byte{"docker": docker, "oci": oci.Bytes(), "oci gzip": gz.Bytes(), "oci zstd": zs.Bytes()}
}

func packedDir(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := errors.Join(w.AddFS(os.DirFS(dir)), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func ociLayout(t *testing.T, img v1.Image) string {
	t.Helper()
	dir := t.TempDir()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "example.com/team/app:v1"})); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoad(t *testing.T) {
	f := newFixture(t)
	img := withConfig(t, randomImage(t, 1000, 2), func(c *v1.ConfigFile) { c.OS, c.Architecture = "linux", goarch() })
	check := func(t *testing.T, got []Image, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := img.ConfigName()
		if len(got) != 1 || got[0].ID != id.String() || fmt.Sprint(got[0].Names) != "[example.com/team/app:v1]" || len(got[0].Digests) != 1 {
			t.Fatalf("loaded %+v", got)
		}
		f.checkLayers(t, got[0].ID, img)
		if err := f.Remove(t.Context(), "example.com/team/app:v1"); err != nil {
			t.Fatal(err)
		}
		f.wantNothing(t)
	}
	for form, b := range archives(t, img) {
		t.Run(form, func(t *testing.T) {
			got, err := f.Load(t.Context(), bytes.NewReader(b))
			check(t, got, err)
		})
		t.Run(form+" cut", func(t *testing.T) {
			if got, err := f.Load(t.Context(), bytes.NewReader(b[:len(b)/2])); err == nil {
				t.Errorf("loaded %+v", got)
			}
			f.wantNothing(t)
		})
	}
}

// TestLoadTellsWhatItLoads has an image by two names in an archive, and by a third one from before.
func TestLoadTellsWhatItLoads(t *testing.T) {
	f := newFixture(t)
	img := withConfig(t, randomImage(t, 1000, 1), func(c *v1.ConfigFile) { c.OS, c.Architecture = "linux", goarch() })
	if _, err := f.Load(t.Context(), bytes.NewReader(packedDir(t, ociLayout(t, img)))); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"example.com/one:v1", "example.com/two:v1"} {
		if err := l.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": name})); err != nil {
			t.Fatal(err)
		}
	}
	got, err := f.Load(t.Context(), bytes.NewReader(packedDir(t, dir)))
	if err != nil || len(got) != 1 || fmt.Sprint(got[0].Names) != "[example.com/one:v1 example.com/two:v1]" {
		t.Errorf("%+v %v", got, err)
	}
	if all, err := f.List(t.Context()); err != nil || len(all) != 1 || len(all[0].Names) != 3 {
		t.Errorf("%+v", all)
	}
}

// TestLoadsTakeTurns: who waits for a load that never ends can give up.
func TestLoadsTakeTurns(t *testing.T) {
	f := newFixture(t)
	hangs, feed := io.Pipe()
	first := make(chan error, 1)
	go func() {
		_, err := f.Load(t.Context(), hangs)
		first <- err
	}()
	if _, err := feed.Write([]byte("x")); err != nil { // it is read: the load has begun
		t.Fatal(err)
	}
	ctx, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := f.Load(ctx, bytes.NewReader(nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("the second: %v", err)
	}
	_ = feed.Close()
	if err := <-first; !errdefs.IsInvalidArgument(err) {
		t.Errorf("the first: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	f := newFixture(t)
	ctx := t.Context()
	for what, b := range map[string][]byte{
		"nothing":    nil,
		"text":       []byte(strings.Repeat("this is not an archive ", 100)),
		"a file":     tarOf(t, file{name: "a", body: "b"}),
		"no image":   tarOf(t, file{name: "oci-layout", body: `{"imageLayoutVersion":"1.0.0"}`}, file{name: "index.json", body: `{"schemaVersion":2,"manifests":[]}`}),
		"no content": tarOf(t, file{name: "manifest.json", body: `[{"Config":"c","RepoTags":["x:1"],"Layers":["l"]}]`}),
	} {
		t.Run(what, func(t *testing.T) {
			if got, err := f.Load(ctx, bytes.NewReader(b)); !errdefs.IsInvalidArgument(err) {
				t.Errorf("loaded %+v, %v", got, err)
			}
			f.wantNothing(t)
		})
	}
	img := randomImage(t, 1000, 1)
	digest, _ := lowest(t, img)
	blobFile := func(dir string) string {
		return filepath.Join(dir, "blobs/sha256", strings.TrimPrefix(digest, "sha256:"))
	}
	for what, spoil := range map[string]func(dir string) error{
		"no layer":    func(dir string) error { return os.Remove(blobFile(dir)) },
		"wrong layer": func(dir string) error { return os.WriteFile(blobFile(dir), make([]byte, 2000), 0o600) },
		"a symlink out of it": func(dir string) error {
			return errors.Join(os.Remove(blobFile(dir)), os.Symlink("/etc/passwd", blobFile(dir)))
		},
		"a directory": func(dir string) error {
			return errors.Join(os.Remove(blobFile(dir)), os.Mkdir(blobFile(dir), 0o700))
		},
		"no index": func(dir string) error { return os.Remove(filepath.Join(dir, "index.json")) },
	} {
		dir := ociLayout(t, img)
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		t.Run(what, func(t *testing.T) {
			if got, err := f.Load(ctx, bytes.NewReader(packedDir(t, dir))); !errdefs.IsInvalidArgument(err) {
				t.Errorf("loaded %+v, %v", got, err)
			}
			f.wantNothing(t)
		})
	}
}

// TestLoadRefusesLayers: a layer that cannot be unpacked is wrong itself, in whatever way.
func TestLoadRefusesLayers(t *testing.T) {
	f := newFixture(t)
	entry := func(name string, kind byte, link string) *tar.Header {
		return &tar.Header{Name: name, Typeflag: kind, Linkname: link, Mode: 0o644}
	}
	packed := func(entries ...*tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, e := range entries {
			if err := w.WriteHeader(e); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for what, layer := range map[string][]byte{
		"no archive":         bytes.Repeat([]byte{1}, 2048),
		"cut":                packed(entry("a", tar.TypeReg, ""))[:700],
		"half a gzip":        {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3},
		"link to the host":   packed(entry("a", tar.TypeLink, "../../../../etc/passwd")),
		"link to nothing":    packed(entry("a", tar.TypeLink, "b")),
		"below a file":       packed(entry("a", tar.TypeReg, ""), entry("a/b", tar.TypeReg, "")),
		"a name too long":    packed(entry(strings.Repeat("a", 300), tar.TypeReg, "")),
		"a kind of no sense": packed(entry("a", '9', "")),
	} {
		t.Run(what, func(t *testing.T) {
			config := fmt.Sprintf(`{"os":"linux","architecture":%q,"rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`, goarch(), sha256.Sum256(layer))
			archive := tarOf(t, file{name: "c.json", body: config}, file{name: "l.tar", body: string(layer)},
				file{name: "manifest.json", body: `[{"Config":"c.json","RepoTags":["x/y:1"],"Layers":["l.tar"]}]`})
			if got, err := f.Load(t.Context(), bytes.NewReader(archive)); !errdefs.IsInvalidArgument(err) {
				t.Errorf("loaded %+v, %v", got, err)
			}
			f.wantNothing(t)
		})
	}
}

func TestBuiltin(t *testing.T) {
	f := newFixture(t)
	b := archives(t, randomImage(t, 1000, 1))["oci"]
	opened := 0
	open := func() (io.ReadCloser, error) {
		opened++
		return io.NopCloser(bytes.NewReader(b)), nil
	}
	for range 2 {
		if _, err := f.Builtin(t.Context(), "example.com/team/app:v1", "7", open); err != nil {
			t.Fatal(err)
		}
		f.reopen(t)
	}
	if opened != 1 {
		t.Errorf("read the archive %d times", opened)
	}
	f.server.Close()
	if img := f.pull(t, "example.com/team/app:v1"); len(img.Names) != 1 {
		t.Errorf("pulled %+v", img)
	}
	if _, err := f.Builtin(t.Context(), "example.com/team/app:v1", "8", open); err != nil || opened != 2 {
		t.Errorf("a new version: %v, read %d times", err, opened)
	}
	if _, err := f.Load(t.Context(), bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	img, err := f.Get(t.Context(), "example.com/team/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"example.com/team/app:v1", img.ID, img.Digests[0]} {
		if err := f.Remove(t.Context(), ref); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "is built into hulld and cannot be removed") {
			t.Errorf("remove %s, which was loaded once more: %v", ref, err)
		}
	}
	if _, err := f.Builtin(t.Context(), "other:v1", "8", open); !errdefs.IsInvalidArgument(err) {
		t.Errorf("another name: %v", err)
	}
}
