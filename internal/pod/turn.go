package pod

import "context"

// turn is a container's place in the order in which its Pod's commands start.
type turn struct {
	p       *Pods
	after   <-chan struct{} // closed when the attempt before has ended; nil for the first
	release func()          // gives back the slot
	refused bool            // the Pod ended before it came
}

// await returns when it has come. What waits holds no slot: those before it may need one.
func (t *turn) await(ctx context.Context) (err error) {
	defer func() { t.refused = err != nil }()
	if t.after == nil || over(t.after) {
		return ctx.Err()
	}
	t.release()
	t.release = func() {}
	select {
	case <-t.after:
	case <-ctx.Done():
		return ctx.Err()
	}
	t.release, err = t.p.slots.take(ctx, starting)
	if err != nil {
		t.release = func() {}
		return err
	}
	return ctx.Err()
}

func over(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
