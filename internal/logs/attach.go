package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/containerd/errdefs"
)

// attachMost is how much output waits for a client that does not take it. The container is never made to wait for one.
const attachMost = 1 << 20

// ErrSlow says that a client was cut off because it did not keep up with the container's output.
var ErrSlow = errors.New("output comes faster than it is taken")

// attachment is one client that sees the output as it comes.
type attachment struct {
	seen   [2]int // how much of what still is in the pipe it has been given
	queue  []output
	queued int
	err    error
	ended  bool
	more   chan struct{}
}

type output struct {
	stream int
	b      []byte
}

// clients are those that are attached to one log.
type clients struct {
	mu    sync.Mutex
	all   []*attachment
	ended bool // there is no more output
}

// Attach writes the output to the writers as it comes, lines or not, from the current line on, until both streams have
// ended (nil), the context is done, or a writer fails. A nil writer skips its stream.
func (w *Writer) Attach(ctx context.Context, stdout, stderr io.Writer) error {
	a := w.clients.add()
	defer w.clients.remove(a)
	w.wake(0)
	w.wake(1)
	for {
		queue, ended, err := w.clients.take(a)
		for _, o := range queue {
			to := []io.Writer{stdout, stderr}[o.stream]
			if to == nil {
				continue
			}
			if _, err := to.Write(o.b); err != nil {
				return fmt.Errorf("attach to %s: %w", w.cfg.Path, err)
			}
		}
		switch {
		case err != nil:
			return fmt.Errorf("attach to %s: %w", w.cfg.Path, err)
		case ended:
			return nil
		case len(queue) > 0:
			continue
		}
		select {
		case <-a.more:
		case <-ctx.Done():
			return fmt.Errorf("attach to %s: %w", w.cfg.Path, context.Cause(ctx))
		}
	}
}

func (c *clients) add() *attachment {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := &attachment{more: make(chan struct{}, 1), ended: c.ended}
	c.all = append(c.all, a)
	return a
}

func (c *clients) take(a *attachment) ([]output, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	queue := a.queue
	a.queue, a.queued = nil, 0
	return queue, a.ended, a.err
}

func (c *clients) remove(a *attachment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.all {
		if other == a {
			c.all = append(c.all[:i:i], c.all[i+1:]...)
			return
		}
	}
}

// show gives attached clients what they have not seen of the bytes at the start of a stream.
func (c *clients) show(i int, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.all {
		if len(b) <= a.seen[i] || a.err != nil {
			continue
		}
		fresh := append([]byte(nil), b[a.seen[i]:]...)
		a.seen[i] = len(b)
		if a.queued += len(fresh); a.queued > attachMost {
			a.err, a.queue = fmt.Errorf("%w: %w", ErrSlow, errdefs.ErrResourceExhausted), nil
		} else {
			a.queue = append(a.queue, output{stream: i, b: fresh})
		}
		a.tell()
	}
}

// shown says that n bytes have left the start of a stream.
func (c *clients) shown(i, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.all {
		a.seen[i] = max(0, a.seen[i]-n)
	}
}

func (c *clients) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, a := range c.all {
		a.ended = true
		a.tell()
	}
}

func (a *attachment) tell() {
	select {
	case a.more <- struct{}{}:
	default:
	}
}
