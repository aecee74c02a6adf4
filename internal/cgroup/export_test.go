package cgroup

import (
	"context"
	"time"
)

// RemoveWithin is Remove with a limit of its own.
func (g *Group) RemoveWithin(ctx context.Context, limit time.Duration) error {
	return g.removeWithin(ctx, limit)
}

// KillAll ends processes that were listed as the group's.
func (g *Group) KillAll(ctx context.Context, pids []int) error { return g.killAll(ctx, pids) }
