package pod

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/hull-pods/hull/internal/client"
)

// TestWaitGone: the end of a watch is not that of the Pod. It ends when hulld stops, or dies, and the next hulld is asked then.
func TestWaitGone(t *testing.T) {
	for name, end := range map[string]func(http.ResponseWriter){
		"stops": func(w http.ResponseWriter) {},
		"dies":  func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"has another after it": func(w http.ResponseWriter) {
			_, _ = fmt.Fprintln(w, `{"type":"ERROR","object":{"code":410,"reason":"Expired"}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			watches := 0
			mux := http.NewServeMux()
			mux.HandleFunc("GET /api/v1/namespaces/default/pods/web", func(w http.ResponseWriter, r *http.Request) {
				_, _ = fmt.Fprint(w, `{"metadata":{"name":"web","uid":"u","resourceVersion":"3"}}`)
			})
			mux.HandleFunc("GET /api/v1/namespaces/default/pods", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("watch") == "" {
					_, _ = fmt.Fprint(w, `{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"web","uid":"u","resourceVersion":"3"}}]}`)
					return
				}
				if r.URL.Query().Get("resourceVersion") != "7" { // as a hulld that was started after the object's last change
					w.WriteHeader(http.StatusGone)
					_, _ = fmt.Fprint(w, `{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}`)
					return
				}
				if watches++; watches == 2 {
					_, _ = fmt.Fprint(w, `{"type":"DELETED","object":{"metadata":{"name":"web","uid":"u"}}}`)
					return
				}
				_, _ = fmt.Fprintln(w, `{"type":"MODIFIED","object":{"metadata":{"name":"web","uid":"u"}}}`)
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
				end(w)
			})
			socket := filepath.Join(t.TempDir(), "hull.sock")
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{Handler: mux}
			defer func() { _ = s.Close() }()
			go func() { _ = s.Serve(l) }()
			if err := WaitGone(t.Context(), client.New(socket), Ref{"default", "web"}, "u"); err != nil || watches != 2 {
				t.Errorf("after %d watches: %v", watches, err)
			}
		})
	}
}
