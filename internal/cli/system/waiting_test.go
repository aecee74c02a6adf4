package system

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/client"
)

// TestWhatKeepsPods: a stop that deletes Pods names those that only wait for their finalizers, each once.
func TestWhatKeepsPods(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/pods", func(w http.ResponseWriter, r *http.Request) {
		const kept = `"namespace":"ns","uid":"u","finalizers":["example.com/a","example.com/b"]`
		for _, line := range []string{
			`{"type":"ADDED","object":{"metadata":{"name":"kept",` + kept + `}}}`,
			`{"type":"ADDED","object":{"metadata":{"name":"free","namespace":"ns","uid":"f"}}}`,
			`{"type":"MODIFIED","object":{"metadata":{"name":"kept","deletionGracePeriodSeconds":30,` + kept + `}}}`,
			`{"type":"MODIFIED","object":{"metadata":{"name":"kept","deletionGracePeriodSeconds":0,` + kept + `}}}`,
			`{"type":"MODIFIED","object":{"metadata":{"name":"kept","deletionGracePeriodSeconds":0,` + kept + `}}}`,
			`{"type":"DELETED","object":{"metadata":{"name":"other","deletionGracePeriodSeconds":0,"uid":"o","finalizers":["x/y"]}}}`,
		} {
			_, _ = fmt.Fprintln(w, line)
		}
	})
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: mux}
	defer func() { _ = s.Close() }()
	go func() { _ = s.Serve(l) }()
	var said strings.Builder
	e := &env.Env{}
	e.Err = &said
	c := client.New(l.Addr().String())
	tellWhatKeepsPods(t.Context(), e, c)
	if want := `pod "kept" in namespace ns waits for its finalizers to be removed: example.com/a, example.com/b` + "\n"; said.String() != want {
		t.Errorf("said %q, want %q", said.String(), want)
	}
}
