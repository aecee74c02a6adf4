package grip

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

// ErrEmpty says that a container does not run.
var ErrEmpty = errors.New("nothing is held of the container")

// Attach connects a client to the container's streams until the container has ended, or the client has gone.
func (g *Grip) Attach(ctx context.Context, st streams.Streams, cfg *record.ContainerConfig) error {
	log, stdin := g.Streams()
	if log == nil {
		return ErrEmpty
	}
	if st.Stdin != nil && cfg.Stdin && stdin != nil {
		// Ends with the client's connection, which api closes, or with the container's end of the pipe.
		go func() {
			_, err := io.Copy(stdin, st.Stdin)
			if err == nil && cfg.StdinOnce && !cfg.TTY {
				_ = g.CloseStdin()
			}
		}()
	}
	if cfg.TTY && st.Resize != nil && stdin != nil {
		stop := make(chan struct{})
		var resizing sync.WaitGroup
		resizing.Go(func() { streams.Resize(stdin, st.Resize, stop) })
		defer resizing.Wait()
		defer close(stop)
	}
	return log.Attach(ctx, st.Stdout, st.Stderr)
}
