package e2e

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/hulltest/live"
)

// newRegistry serves an empty registry on loopback and returns its host and port; wrap, if not nil, stands before it.
func newRegistry(t testing.TB, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	h := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.CloseClientConnections() // those that hang on purpose
		s.Close()
	})
	return strings.TrimPrefix(s.URL, "http://")
}

// push puts an image with one layer of random bytes into a registry, and returns its name.
func push(t testing.TB, host string, size int64) string {
	t.Helper()
	img, err := random.Image(size, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host + "/web:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	return ref.String()
}

func podOf(image string) string {
	return strings.Replace(toolbox("web", forever), "localhost/hull/toolbox", image, 1)
}

// content lists the files of the image store that hold bytes of images.
func content(t testing.TB, h *live.Hull) []string {
	t.Helper()
	var list []string
	for _, f := range files(t, filepath.Join(h.Root, "images/content")) {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
			list = append(list, f)
		}
	}
	return list
}

// pullFails runs a Pod of an image that cannot be pulled, and removes it.
func pullFails(t *testing.T, h *live.Hull, image, want string) {
	t.Helper()
	refused(t, h, 125, `error: pod/web: container main: ErrImagePull: failed to pull and unpack image "`+image+`": `, podOf(image), "run", "-d", "-")
	message := awaitEvent(t, h, "web", "Failed", `Failed to pull image "`+image+`": `)
	if !strings.Contains(message, want) {
		t.Errorf("the event says %q, and not %q", message, want)
	}
	h.Must("delete", "pod", "web")
	nothingRemains(t, h)
	if got := h.Must("image", "ls"); strings.Contains(got, "web") {
		t.Errorf("the image is said to be there:\n%s", got)
	}
}

// noMoreContent fails the test if the image store has files that it had not.
func noMoreContent(t *testing.T, h *live.Hull, before []string) {
	t.Helper()
	for _, f := range content(t, h) {
		if !slices.Contains(before, f) {
			t.Errorf("the image store has %s", f)
		}
	}
}

// TestSilentRegistry has a registry that begins with a layer and then says nothing more. What it has sent is kept for the next
// try, and goes with the image.
func TestSilentRegistry(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool(), live.Flags("--image-pull-progress-timeout", "1s"))
	before := content(t, h)
	var well atomic.Bool
	host := newRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if well.Load() || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
				next.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Length", "1000000")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
	})
	image := push(t, host, 1_000_000)
	pullFails(t, h, image, "registry "+host+" has sent nothing for 1s")
	well.Store(true)
	h.Must("image", "pull", image)
	h.Must("image", "rm", image)
	noMoreContent(t, h, before)
}

// TestLyingRegistry has a registry that gives other bytes than the manifest's digest promises.
func TestLyingRegistry(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	host := newRegistry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
				next.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			body := rec.Body.Bytes()
			body[len(body)/2] ^= 1
			_, _ = w.Write(body)
		})
	})
	pullFails(t, h, push(t, host, 100_000), "unexpected commit digest sha256:")
	for _, f := range content(t, h) {
		if data, err := os.ReadFile(f); err != nil || filepath.Base(filepath.Dir(f)) == "sha256" && digest.FromBytes(data).Encoded() != filepath.Base(f) {
			t.Errorf("%s is not what its name says (%v)", f, err)
		}
	}
}

// smallDisk puts a Hull's root on a disk of its own.
func smallDisk(t *testing.T, megabytes string) live.Option {
	t.Helper()
	hulltest.NeedRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("hull-test", dir, "tmpfs", 0, "size="+megabytes+"m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return func(h *live.Hull) { h.Root = filepath.Join(dir, "root") }
}

// fillUp makes a file as long as its disk lets it be.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for err == nil {
		_, err = f.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("fill the disk: %v", err)
	}
}

// TestFullDisk pulls what the disk has no room for, and then has a disk without any room under Pods that run.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool(), smallDisk(t, "32"))
	before := content(t, h)
	host := newRegistry(t, nil)
	pullFails(t, h, push(t, host, 64<<20), `no space left on device: the disk of `+h.Root+`/images is full: make room, for instance with "hull image rm"`)
	noMoreContent(t, h, before)

	const line = 200_000 // more than a pipe holds
	gate := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(gate, "say"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Apply(toolbox("talker", fmt.Sprintf(`["sh", "-c", "cat /gate/say; head -c %d /dev/zero | tr '\\0' x; echo said; sleep infinity"]`, line),
		"volumeMounts: [{name: gate, mountPath: /gate}]", "volumes: [{name: gate, hostPath: {path: "+gate+"}}]"))
	await(t, h, "talker", "it runs", isReady)
	fill := filepath.Join(h.Root, "..", "fill")
	// What the failed pull has left behind may be given back meanwhile, so it is filled again until a Pod feels it.
	large := "metadata:\n  annotations: {large: " + strings.Repeat("x", 200_000) + "}\n"
	for i := 0; ; i++ {
		fillUp(t, fill)
		late := strings.Replace(toolbox(fmt.Sprintf("late-%d", i), forever), "metadata:\n", large, 1)
		r := h.RunInput(late, "run", "-d", "-")
		if r.Code == 125 && strings.Contains(r.Stderr, "no space left on device") {
			break
		}
		if r.Code != 0 || i == 50 {
			t.Fatalf("a Pod on a full disk: %+v", r)
		}
	}
	fillUp(t, fill)
	if err := os.WriteFile(filepath.Join(gate, "say"), nil, 0); err != nil {
		t.Fatal(err)
	}
	awaitEvent(t, h, "talker", "LogStalled", "The container's output waits, as its log cannot be written: make room on the disk of "+h.Root)
	// The way out: room is made, and all goes on.
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	awaitLog(t, h, "talker", "said")
	if got, want := h.Must("logs", "talker"), strings.Repeat("x", line)+"said\n"; got != want {
		t.Errorf("of %d bytes %d are in the log", len(want), len(got))
	}
	if r := h.RunInput(toolbox("again", forever), "run", "-d", "-"); r.Code != 0 {
		t.Errorf("after room was made: %+v", r)
	}
	h.Must("delete", "pods", "--all", "--now")
	nothingRemains(t, h)
}

// toolboxTar is the archive of the image that is built into hulld.
func toolboxTar(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../../internal/assets/toolbox.tar")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// ownLayout writes an OCI layout directory with the toolbox as somebody else's image, localhost/own:v1.
func ownLayout(t testing.TB) string {
	t.Helper()
	dir, own := t.TempDir(), t.TempDir()
	if said, err := exec.Command("tar", "xf", toolboxTar(t), "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if img, err = mutate.Config(img, v1.Config{Labels: map[string]string{"of": "somebody"}}); err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(own, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "localhost/own:v1"})); err != nil {
		t.Fatal(err)
	}
	return own
}

// ociLayout writes an image into an OCI layout directory.
func ociLayout(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	img, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "localhost/loaded:v1"})); err != nil {
		t.Fatal(err)
	}
	return dir
}
