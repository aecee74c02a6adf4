package image

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHTTPS pulls over TLS from a mirror with a certificate authority of its own, and not from one whose authority nobody
// knows.
func TestHTTPS(t *testing.T) {
	f := newFixture(t)
	img := randomImage(t, 1000, 2)
	f.push(t, "library/x:latest", img)
	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.server.Config.Handler.ServeHTTP(w, r) }))
	t.Cleanup(tls.Close)
	write := func(ca string) {
		t.Helper()
		dir := filepath.Join(f.config.RegistryConfig, "docker.io")
		toml := fmt.Sprintf("server = %q\n%s[host.%q]\n%s", tls.URL, ca, tls.URL, ca)
		if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(toml), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificate().Raw}), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	if _, err := f.Pull(t.Context(), "x", PullOptions{}); err == nil || !strings.Contains(err.Error(), "certificate signed by unknown authority") {
		t.Errorf("pull without its authority: %v", err)
	}
	write("ca = \"ca.pem\"\n")
	f.checkLayers(t, f.pull(t, "x").ID, img)
}

func TestPullByDigest(t *testing.T) {
	f := newFixture(t)
	older, newer := randomImage(t, 100, 1), randomImage(t, 100, 1)
	f.push(t, "library/x:latest", older)
	f.push(t, "library/x:latest", newer)
	digest, err := older.Digest()
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"x@" + digest.String(), "x:latest@" + digest.String()} {
		got := f.pull(t, ref)
		if id, _ := older.ConfigName(); got.ID != id.String() || len(got.Names) != 0 || len(got.Digests) != 1 {
			t.Errorf("%s: %+v", ref, got)
		}
	}
}

// TestOtherHosts: _default stands for every registry that has no directory of its own, and loopback needs none.
func TestOtherHosts(t *testing.T) {
	f := newFixture(t)
	f.push(t, "team/app:v1", randomImage(t, 100, 1))
	mirror(t, f.config.RegistryConfig, "_default", f.server.URL)
	for _, host := range []string{"registry.example", strings.TrimPrefix(f.server.URL, "http://")} {
		if got := f.pull(t, host+"/team/app:v1"); got.Names[0] != host+"/team/app:v1" && len(got.Names) < 2 {
			t.Errorf("pulled %+v", got)
		}
	}
	for _, host := range []string{"_default", "..", "."} {
		if _, err := f.Pull(t.Context(), host+"/team/app:v1", PullOptions{}); err == nil {
			t.Errorf("pulled from a host called %q", host)
		}
	}
}
