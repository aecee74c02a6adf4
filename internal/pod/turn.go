package pod

import (
	"context"

	"github.com/hull-pods/hull/internal/store"
)

// turn is a container's place in the order in which its Pod's commands start.
type turn struct {
	p       *Pods
	saved   store.Commit    // of the Pod's creation; done when it is on disk
	after   <-chan struct{} // closed when the one before has the word to go on, or did not come to it; nil for the first
	release func()          // gives back the slot
	refused bool            // the Pod ended before it came
}

// await returns when it has come, or the Pod ends, or what waits has died. What waits holds no slot: those before it may need one.
func (t *turn) await(pod, alive context.Context) (err error) {
	defer func() { t.refused = err != nil && pod.Err() != nil }()
	ctx, cancel := context.WithCancelCause(pod)
	defer cancel(nil)
	defer context.AfterFunc(alive, func() { cancel(context.Cause(alive)) })()
	if t.saved == (store.Commit{}) && (t.after == nil || over(t.after)) {
		return context.Cause(ctx)
	}
	t.release()
	t.release = func() {}
	// Nothing runs of a Pod that a crash of hulld would forget: who did not get an answer creates it again, and it would run
	// twice. An error is a full disk's: the Pod stays in memory until it can be written, and runs.
	_ = t.saved.Wait(ctx)
	if t.after != nil {
		select {
		case <-t.after:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	release, err := t.p.slots.take(ctx, starting)
	if err == nil {
		t.release = release
	}
	return context.Cause(ctx)
}

func over(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
