package daemon

import (
	"context"
	"io"

	"github.com/hull-pods/hull/internal/api"
	"github.com/hull-pods/hull/internal/api/stream"
	"github.com/hull-pods/hull/internal/runtime"
)

// containers gives the API the runtime in the API's words.
type containers struct{ r *runtime.Runtime }

func (c containers) Exec(ctx context.Context, id string, args []string, st stream.Streams) (int, error) {
	streams, end := convert(ctx, st)
	defer end()
	return c.r.Exec(ctx, id, args, streams)
}

func (c containers) Attach(ctx context.Context, id string, st stream.Streams) error {
	streams, end := convert(ctx, st)
	defer end()
	return c.r.Attach(ctx, id, streams)
}

func (c containers) Logs(ctx context.Context, id string, o api.LogOptions, stdout, stderr io.Writer) error {
	opts := runtime.LogOptions{Follow: o.Follow, Timestamps: o.Timestamps, Since: o.Since, Limit: o.Limit}
	if o.Tail >= 0 {
		opts.Tail = &o.Tail
	}
	return c.r.Logs(ctx, id, opts, stdout, stderr)
}

// convert passes sizes of the client's terminal on until the session ends.
func convert(ctx context.Context, st stream.Streams) (runtime.Streams, func()) {
	out := runtime.Streams{Stdin: st.Stdin, Stdout: st.Stdout, Stderr: st.Stderr, TTY: st.TTY}
	if st.Resize == nil {
		return out, func() {}
	}
	ctx, end := context.WithCancel(ctx)
	sizes := make(chan runtime.Size)
	out.Resize = sizes
	go func() {
		defer close(sizes)
		for {
			select {
			case <-ctx.Done():
				return
			case s, ok := <-st.Resize:
				if !ok {
					return
				}
				select {
				case sizes <- runtime.Size(s):
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out, end
}
