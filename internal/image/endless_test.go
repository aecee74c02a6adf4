package image

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestEndlessToken: the answer of a token server is read into memory, so it must have an end.
func TestEndlessToken(t *testing.T) {
	f := newFixture(t)
	f.push(t, "library/x:latest", randomImage(t, 1<<10, 1))
	const most = 64 << 20 // what a reader without a bound gets, so that this test ends
	taken := 0
	f.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/token" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+f.server.URL+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		_, err := w.Write([]byte(`{"token":"`))
		for piece := bytes.Repeat([]byte("x"), 64<<10); err == nil && taken < most; taken += len(piece) {
			_, err = w.Write(piece)
		}
		return true
	})
	_, err := f.Pull(t.Context(), "x", PullOptions{})
	if !errdefs.IsDataLoss(err) {
		t.Errorf("pull: %v", err)
	}
	f.server.CloseClientConnections() // the handler has ended: taken is ours
	f.server.Close()
	if taken >= most {
		t.Errorf("%d bytes were taken as a token", taken)
	}
}

// TestEndlessManifest: what a registry sends for a tag, of which it said neither size nor digest, is read to its end.
func TestEndlessManifest(t *testing.T) {
	f := newFixture(t)
	const most = 64 << 20
	taken := 0
	f.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			return true // and says nothing
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		var err error
		for piece := bytes.Repeat([]byte(" "), 64<<10); err == nil && taken < most; taken += len(piece) {
			_, err = w.Write(piece)
		}
		return true
	})
	_, err := f.Pull(t.Context(), "x", PullOptions{})
	if !errdefs.IsDataLoss(err) {
		t.Errorf("pull: %v", err)
	}
	f.server.CloseClientConnections() // the handler has ended: taken is ours
	f.server.Close()
	if taken >= most {
		t.Errorf("%d bytes were taken as a manifest", taken)
	}
}
