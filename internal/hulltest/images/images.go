// Package images makes real images from Debian's packages and serves them from a registry on loopback that stands in for
// docker.io, so that manifests which name docker.io's images can be tried with no registry in reach.
//
//	docker.io/library/debian:latest         Debian as mmdebstrap makes it, minimal
//	docker.io/library/nginx:latest, :1.7.9  Debian's nginx upon it, set up as the official image is
//	docker.io/dolphintwo/pod-sample:v2      /index.html, and busybox for cp
//
// Making them takes a minute and needs root, mmdebstrap and a Debian mirror, which is the one that this machine's apt has. They
// are kept: in $HULL_TEST_IMAGES, or /var/cache/hull-test-images.
package images

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"golang.org/x/sys/unix"
)

// recipe is part of the cache's name: a change of what is made changes it.
const recipe = "1"

// names are the repositories and tags that the registry has.
var names = []string{"library/debian:latest", "library/nginx:latest", "library/nginx:1.7.9", "dolphintwo/pod-sample:v2"}

// Layout makes sure that the images are in the cache, an OCI layout directory, and returns it. Of several processes one makes
// them.
func Layout(ctx context.Context) (string, error) {
	cache := os.Getenv("HULL_TEST_IMAGES")
	if cache == "" {
		cache = "/var/cache/hull-test-images"
	}
	dir := filepath.Join(cache, "debian-"+runtime.GOARCH+"-"+recipe)
	if made(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache of test images: %w", err)
	}
	unlock, err := lock(filepath.Join(cache, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if made(dir) {
		return dir, nil
	}
	work, err := os.MkdirTemp(cache, "making-")
	if err != nil {
		return "", fmt.Errorf("make test images: %w", err)
	}
	defer os.RemoveAll(work) //nolint:errcheck // rest of it
	m := maker{work: work}
	result := filepath.Join(work, "layout")
	if err := m.all(ctx, result); err != nil {
		return "", fmt.Errorf("make test images: %w", err)
	}
	if err := os.Rename(result, dir); err != nil {
		return "", fmt.Errorf("keep test images: %w", err)
	}
	return dir, nil
}

func made(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "index.json"))
	return err == nil
}

func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(os.NewSyscallError("flock", err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing is unlocking
}

// Handler is the registry over a layout that [Layout] made. Blobs are read from the layout's files.
func Handler(dir string) (http.Handler, error) {
	reg := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(registry.NewDiskBlobHandler(filepath.Join(dir, "blobs"))))
	path, err := layout.FromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("open test images: %w", err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		return nil, fmt.Errorf("read test images: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("read test images: %w", err)
	}
	for _, d := range manifest.Manifests {
		body, err := path.Bytes(d.Digest)
		if err != nil {
			return nil, fmt.Errorf("read test images: %w", err)
		}
		name := d.Annotations[nameAnnotation]
		repo, tag, _ := cut(name)
		req := httptest.NewRequest(http.MethodPut, "/v2/"+repo+"/manifests/"+tag, bytes.NewReader(body))
		req.Header.Set("Content-Type", string(d.MediaType))
		answer := httptest.NewRecorder()
		reg.ServeHTTP(answer, req)
		if answer.Code >= 300 {
			return nil, fmt.Errorf("serve test image %s: %d %s", name, answer.Code, answer.Body)
		}
	}
	return reg, nil
}

// Certs writes, below dir, the registry configuration that makes the registry at url stand in for docker.io, in the form of
// containerd's certs.d.
func Certs(dir, url string) error {
	host := filepath.Join(dir, "docker.io")
	if err := os.MkdirAll(host, 0o755); err != nil {
		return fmt.Errorf("write registry configuration: %w", err)
	}
	// The server is the mirror too: what it does not have is not looked for on the real docker.io.
	toml := fmt.Sprintf("server = %q\n\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", url, url)
	if err := os.WriteFile(filepath.Join(host, "hosts.toml"), []byte(toml), 0o644); err != nil {
		return fmt.Errorf("write registry configuration: %w", err)
	}
	return nil
}

// Registry starts the registry for one test and returns a directory for Hull's --registry-config.
func Registry(t testing.TB) (certs string) {
	t.Helper()
	dir, err := Layout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err := Handler(dir)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	certs = t.TempDir()
	if err := Certs(certs, server.URL); err != nil {
		t.Fatal(err)
	}
	return certs
}
