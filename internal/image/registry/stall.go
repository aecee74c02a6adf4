package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/containerd/errdefs"
)

// stallError says that a registry went silent. It is no net.Error with a timeout on purpose: the resolver would try again
// four times, each as long.
type stallError struct {
	host  string
	limit time.Duration
}

func (e *stallError) Error() string {
	return fmt.Sprintf("registry %s has sent nothing for %s", e.host, e.limit)
}

func (e *stallError) Unwrap() error { return errdefs.ErrUnavailable }

// stallTransport ends a request when no byte has come for limit: while connecting, before the answer's head, and between any
// two reads of its body. A slow answer may take as long as it likes.
type stallTransport struct {
	next  http.RoundTripper
	limit time.Duration
}

func (t *stallTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	stalled := &stallError{host: req.URL.Host, limit: t.limit}
	timer := time.AfterFunc(t.limit, func() { cancel(stalled) })
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	timer.Stop()
	if err != nil {
		if context.Cause(ctx) == error(stalled) {
			err = stalled
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = &stallBody{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, timer: timer, stalled: stalled}
	return resp, nil
}

type stallBody struct {
	io.ReadCloser
	ctx     context.Context //nolint:containedctx // the request's, which lives as long as its body
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	stalled *stallError
	once    sync.Once
}

func (b *stallBody) Read(p []byte) (int, error) {
	b.timer.Reset(b.stalled.limit)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) && context.Cause(b.ctx) == error(b.stalled) {
		err = b.stalled
	}
	return n, err
}

func (b *stallBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.once.Do(func() { b.cancel(nil) })
	return err
}
