package api

import (
	"context"
	"net/http"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
)

// Sandboxes shows Pods as the kernel has them.
type Sandboxes interface {
	// Inspect is the newest sandbox of a Pod; with birth, the listings by which its processes were made are in it.
	Inspect(ctx context.Context, namespace, pod string, birth bool) (v1alpha1.Sandbox, error)
}

func (s own) inspect(w http.ResponseWriter, r *http.Request) error {
	birth := r.URL.Query().Get("birth") == "true"
	sandbox, err := s.cfg.Sandboxes.Inspect(r.Context(), r.PathValue("namespace"), r.PathValue("pod"), birth)
	if err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, sandbox)
	return nil
}
