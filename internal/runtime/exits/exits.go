// Package exits hands what the keeper says of a process' end to whom it concerns.
package exits

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/keeper"
)

// Watcher is whoever wants to know that the process of a keeper's record has ended.
type Watcher interface{ ProcessEnded(keeper.Exit) }

// Exits is who watches which of the keeper's records.
type Exits struct {
	keeper *keeper.Client
	log    *slog.Logger

	mu       sync.Mutex
	watchers map[string]Watcher // by the keeper's key
}

// New makes one that has no watchers yet.
func New(k *keeper.Client, log *slog.Logger) *Exits {
	return &Exits{keeper: k, log: log, watchers: map[string]Watcher{}}
}

// Watch has the end of a keeper's record told to w.
func (x *Exits) Watch(key string, w Watcher) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.watchers[key] = w
}

// Unwatch takes back Watch. The keeper's record stays.
func (x *Exits) Unwatch(key string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.watchers, key)
}

// Watcher is who is told of the end of a keeper's record; nil for a stranger's.
func (x *Exits) Watcher(key string) Watcher {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.watchers[key]
}

// Forget drops the keeper's record, and with it the descriptors that it holds. The key may be used again after that.
func (x *Exits) Forget(ctx context.Context, key string) {
	x.Unwatch(key)
	if err := x.keeper.Forget(ctx, key); err != nil && ctx.Err() == nil {
		x.log.Warn("the keeper holds on to a record", "key", key, "err", err)
	}
}

// Await waits for what only the keeper's word of a process' end closes. When the keeper is dead, nobody will: hulld ends then.
func (x *Exits) Await(ctx context.Context, end <-chan struct{}) error {
	select {
	case <-end:
		return nil
	default:
	}
	select {
	case <-end:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-x.keeper.Done():
		return fmt.Errorf("the keeper has died: %w", errdefs.ErrUnavailable)
	}
}

// Run hands every exit that the keeper reports to its watcher, until ctx ends.
func (x *Exits) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-x.keeper.Exits():
			if !ok {
				return // the keeper has died, and hulld ends: see daemon
			}
			w := x.Watcher(e.Key)
			if w == nil {
				x.log.Debug("exit of a process that nobody waits for", "key", e.Key, "pid", e.PID)
				continue
			}
			w.ProcessEnded(e)
		}
	}
}
