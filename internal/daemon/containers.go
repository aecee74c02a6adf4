package daemon

import (
	"context"
	"io"

	"github.com/hull-pods/hull/internal/api"
	"github.com/hull-pods/hull/internal/runtime"
)

// containers is the runtime in the API's words.
type containers struct{ *runtime.Runtime }

// Logs writes a container's log.
func (c containers) Logs(ctx context.Context, id string, o api.LogOptions, stdout, stderr io.Writer) error {
	opts := runtime.LogOptions{Follow: o.Follow, Timestamps: o.Timestamps, Since: o.Since, Limit: o.Limit}
	if o.Tail >= 0 {
		opts.Tail = &o.Tail
	}
	return c.Runtime.Logs(ctx, id, opts, stdout, stderr)
}
