package starter

import (
	"context"
	"fmt"

	"github.com/hull-pods/hull/internal/oci"
)

// inside runs hooks in the container's namespaces.
func (h *hookRun) inside(ctx context.Context, what string, hooks []oci.Hook, state oci.State) error {
	for i, hook := range hooks {
		_ = hook
		return unsupported("%s hook %d", what, i+1)
	}
	return nil
}

var _ = fmt.Sprint
