package api

import (
	"context"
	"io"
	"time"

	"github.com/hull-pods/hull/internal/api/stream"
)

// LogOptions says what of a container's log to read.
type LogOptions struct {
	Follow     bool
	Timestamps bool
	Tail       int64 // lines; -1 = all
	Since      time.Time
	Limit      int64 // bytes; 0 = all
}

// Runtime is what of the containers a client can talk to, by the ID that the Pod's status names.
type Runtime interface {
	Exec(ctx context.Context, id string, args []string, st stream.Streams) (int, error)
	Attach(ctx context.Context, id string, st stream.Streams) error
	Logs(ctx context.Context, id string, o LogOptions, stdout, stderr io.Writer) error
}
