package cgroup

import (
	"context"
	"time"
)

// RemoveWithin is Remove with a limit of its own.
func (g *Group) RemoveWithin(ctx context.Context, limit time.Duration) error {
	return g.removeWithin(ctx, limit)
}
