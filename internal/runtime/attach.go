package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

// Attach connects a client to a running container's streams until the container has ended, or the client has gone.
func (r *Runtime) Attach(ctx context.Context, id string, st Streams) error {
	c, err := r.all.container(id)
	if err != nil {
		return err
	}
	if err := c.attach(ctx, st); err != nil {
		return fmt.Errorf("attach to %s: %w", c, err)
	}
	return nil
}

func (c *container) attach(ctx context.Context, st Streams) error {
	cfg := c.config()
	w, stdin := c.held.streams()
	if w == nil {
		return fmt.Errorf("it is not running (%s): %w", c.status().State, errdefs.ErrFailedPrecondition)
	}
	if st.Stdin != nil && cfg.Stdin && stdin != nil {
		// Ends with the client's connection, which api closes, or with the container's end of the pipe.
		go func() {
			_, err := io.Copy(stdin, st.Stdin)
			if err == nil && cfg.StdinOnce && !cfg.TTY {
				_ = c.held.closeStdin()
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
	return w.Attach(ctx, st.Stdout, st.Stderr)
}

// Logs writes a container's log. With o.Follow it goes on until the container has ended and everything is written.
func (r *Runtime) Logs(ctx context.Context, id string, o LogOptions, stdout, stderr io.Writer) error {
	c, err := r.all.container(id)
	if err != nil {
		return err
	}
	o.Ended, o.Log = c.ended, r.log
	err = logs.Read(ctx, c.logPath(), o, stdout, stderr)
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("read the log of %s: %w", c, err)
	}
	return err
}
