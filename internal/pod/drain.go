package pod

import (
	"context"
	"fmt"
	"time"
)

// Drain ends every Pod's processes and returns when nothing of any Pod runs. Each container has its Pod's grace period, but no
// more than patience; a second call with less patience shortens the first. The objects stay, and nothing is started any more: the
// next daemon goes on with those that are not over.
func (p *Pods) Drain(ctx context.Context, patience time.Duration) error {
	p.mu.Lock()
	if before := p.draining.Load(); before == 0 || int64(patience) < before {
		p.draining.Store(int64(patience))
	}
	var left []*worker
	for _, w := range p.workers {
		left = append(left, w)
		w.inbox.look()
	}
	p.mu.Unlock()
	for i, w := range left {
		select {
		case <-w.quiet:
		case <-w.ended:
		case <-ctx.Done():
			return fmt.Errorf("%d Pods have not ended yet: %w", len(left)-i, ctx.Err())
		}
	}
	return nil
}

// drained tells [Pods.Drain] when nothing of the Pod runs, and that is written.
func (w *worker) drained() {
	if w.seen.Draining != 0 && w.seen.Stopped() && !over(w.quiet) {
		close(w.quiet)
	}
}
