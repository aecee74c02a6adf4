package pod

import (
	"context"
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/store"
)

// Settle returns when everything is removed of the Pods that are not in the store any more. One that was deleted by force
// leaves the store first.
func (p *Pods) Settle(ctx context.Context) error {
	pods, _, err := store.List[*v1.Pod](p.cfg.Store, "", nil)
	if err != nil {
		return err
	}
	stored := map[types.UID]bool{}
	for _, pod := range pods {
		stored[pod.UID] = true
	}
	var left []*worker
	p.mu.Lock()
	for uid, w := range p.workers {
		if !stored[uid] {
			left = append(left, w)
		}
	}
	p.mu.Unlock()
	for i, w := range left {
		select {
		case <-w.ended:
		case <-ctx.Done():
			return fmt.Errorf("%d deleted Pods are not wholly removed yet: %w", len(left)-i, ctx.Err())
		}
	}
	return nil
}
