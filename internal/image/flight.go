package image

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/image/class"
)

// flights are the pulls that run, each with those who wait for it.
type flights struct {
	mu     sync.Mutex
	byKey  map[string]*flight
	closed bool
	wg     sync.WaitGroup
}

var errClosed = errors.New("the image store is closed")

type flight struct {
	progress *progress
	cancel   context.CancelFunc
	done     chan struct{}
	id       string // and err: set before done closes
	err      error

	waiters   int  // under flights.mu, as is abandoned
	abandoned bool // cancelled because nobody waits
}

// join waits for the flight of key and starts it with run if there is none. The flight is cancelled when the last who waits
// has gone. report is called from here, so that a slow one delays nobody else.
func (f *flights) join(ctx context.Context, key string, report func(Progress), run func(context.Context, *progress) (string, error)) (string, error) {
	fl, err := f.enter(ctx, key, run)
	if err != nil {
		return "", err
	}
	defer f.leave(fl)
	if report == nil {
		report = func(Progress) {}
	}
	for {
		now, changed := fl.progress.get()
		report(now)
		select {
		case <-fl.done:
		case <-ctx.Done():
		case <-time.After(reportPause):
		}
		select {
		case <-fl.done:
			last, _ := fl.progress.get()
			report(last)
			return fl.id, fl.err
		case <-ctx.Done():
			return "", ctx.Err()
		case <-changed:
		}
	}
}

// reportPause keeps progress from being told more often than a person can see.
const reportPause = 100 * time.Millisecond

func (f *flights) enter(ctx context.Context, key string, run func(context.Context, *progress) (string, error)) (*flight, error) {
	for {
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			return nil, class.Of(errClosed, errdefs.ErrUnavailable)
		}
		fl := f.byKey[key]
		if fl == nil {
			fl = f.start(ctx, key, run)
			f.mu.Unlock()
			return fl, nil
		}
		if !fl.abandoned {
			fl.waiters++
			f.mu.Unlock()
			return fl, nil
		}
		f.mu.Unlock()
		select { // it is being cancelled: begin anew when it has ended
		case <-fl.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// start begins a flight with one who waits. The caller has mu.
func (f *flights) start(ctx context.Context, key string, run func(context.Context, *progress) (string, error)) *flight {
	if f.byKey == nil {
		f.byKey = map[string]*flight{}
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	fl := &flight{progress: newProgress(), cancel: cancel, waiters: 1, done: make(chan struct{})}
	f.byKey[key] = fl
	f.wg.Go(func() {
		defer cancel()
		fl.id, fl.err = run(work, fl.progress)
		f.mu.Lock()
		delete(f.byKey, key)
		f.mu.Unlock()
		close(fl.done)
	})
	return fl
}

// leave cancels the flight when nobody waits for it any more.
func (f *flights) leave(fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.waiters--; fl.waiters == 0 {
		fl.abandoned = true
		fl.cancel()
	}
}

// end cancels every flight, waits for all, and lets none begin.
func (f *flights) end() {
	f.mu.Lock()
	f.closed = true
	for _, fl := range f.byKey {
		fl.cancel()
	}
	f.mu.Unlock()
	f.wg.Wait()
}
