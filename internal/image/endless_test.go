package image

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestEndlessToken: the answer of a token server is read into memory, so it must have an end.
func TestEndlessToken(t *testing.T) {
	f := newFixture(t)
	f.push(t, "library/x:latest", randomImage(t, 1<<10, 1))
	taken := 0
	f.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/token" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+f.server.URL+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}
		_, _ = w.Write([]byte(`{"token":"`))
		taken = pour(w, "x")
		return true
	})
	f.refuses(t, &taken)
}

// TestEndlessManifest: what a registry sends for a tag, of which it said neither size nor digest, is not read to its end.
func TestEndlessManifest(t *testing.T) {
	f := newFixture(t)
	taken := 0
	f.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			return true // and says nothing
		}
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		taken = pour(w, " ")
		return true
	})
	f.refuses(t, &taken)
}

// poured is what a reader without a bound gets, so that these tests end.
const poured = 64 << 20

// pour sends the same byte again and again, and says how many were taken.
func pour(w io.Writer, letter string) (taken int) {
	piece := bytes.Repeat([]byte(letter), 64<<10)
	for taken < poured {
		if _, err := w.Write(piece); err != nil {
			break
		}
		taken += len(piece)
	}
	return taken
}

// refuses pulls an image of which something has no end.
func (f *fixture) refuses(t *testing.T, taken *int) {
	t.Helper()
	if _, err := f.Pull(t.Context(), "x", PullOptions{}); !errdefs.IsDataLoss(err) {
		t.Errorf("pull: %v", err)
	}
	f.server.CloseClientConnections() // the handler has ended: taken is ours
	f.server.Close()
	if *taken >= poured {
		t.Errorf("%d bytes were taken", *taken)
	}
}
