package stream

import (
	"context"
	"errors"
	"testing"
)

// TestClientGone: what the library is told when the client has left, it does not log as an error.
func TestClientGone(t *testing.T) {
	shutdown := errors.New("hulld ends")
	for why, want := range map[error]error{errGone: nil, shutdown: context.Canceled} {
		ctx, cancel := context.WithCancelCause(t.Context())
		b := bridge{run: func(ctx context.Context, _ Streams) error {
			cancel(why)
			<-ctx.Done()
			return ctx.Err()
		}}
		if err := b.ExecInContainer(ctx, "", "", "", nil, nil, nil, nil, false, nil, 0); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", why, err, want)
		}
		if err := b.AttachContainer(ctx, "", "", "", nil, nil, nil, false, nil); !errors.Is(err, want) {
			t.Errorf("attach, %v: %v, want %v", why, err, want)
		}
	}
}
