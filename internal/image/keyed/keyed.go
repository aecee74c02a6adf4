// Package keyed has a lock for each key: an image's blob, a chain of layers.
package keyed

import (
	"context"
	"sync"
)

// Lock is a lock for each key. The zero value is ready.
type Lock struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

// Lock waits for the key's lock, or for the end of ctx.
func (k *Lock) Lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		k.mu.Lock()
		if k.held == nil {
			k.held = map[string]chan struct{}{}
		}
		free, taken := k.held[key]
		if !taken {
			free = make(chan struct{})
			k.held[key] = free
			k.mu.Unlock()
			return func() {
				k.mu.Lock()
				delete(k.held, key)
				k.mu.Unlock()
				close(free)
			}, nil
		}
		k.mu.Unlock()
		select {
		case <-free:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
