package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/runtime/grip"
)

// Attach connects a client to a running container's streams until the container has ended, or the client has gone.
func (r *Runtime) Attach(ctx context.Context, id string, st Streams) error {
	c, err := r.all.container(id)
	if err != nil {
		return err
	}
	err = c.held.Attach(ctx, st, c.config())
	if errors.Is(err, grip.ErrEmpty) {
		err = fmt.Errorf("it is not running (%s): %w", c.status().State, errdefs.ErrFailedPrecondition)
	}
	if err != nil {
		return fmt.Errorf("attach to %s: %w", c, err)
	}
	return nil
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
