// Package outbox passes events to their readers without ever making a sender wait: an exit must not be held up by a slow
// reader.
package outbox

import "sync"

// Outbox has a box for each reader. The zero value is ready.
type Outbox[Reader, Event comparable] struct {
	mu     sync.Mutex
	boxes  map[Reader]*box[Event]
	closed bool
	work   sync.WaitGroup
}

// Open gives a reader its events from now on. There is one channel a reader: a second call takes over from the first, whose
// channel closes.
func (o *Outbox[Reader, Event]) Open(who Reader) <-chan Event {
	b, out := newBox[Event](), make(chan Event)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		close(out) // Close may be waiting for what works: nothing new begins
		return out
	}
	if old := o.boxes[who]; old != nil {
		old.close()
	}
	if o.boxes == nil {
		o.boxes = map[Reader]*box[Event]{}
	}
	o.boxes[who] = b
	o.work.Go(func() { b.run(out) })
	return out
}

// Put sends an event to a reader; if there is none, to nobody. It does not wait.
func (o *Outbox[Reader, Event]) Put(who Reader, e Event) {
	o.mu.Lock()
	b := o.boxes[who]
	o.mu.Unlock()
	if b != nil {
		b.put(e)
	}
}

// Close closes every reader's channel.
func (o *Outbox[Reader, Event]) Close() {
	o.mu.Lock()
	o.closed = true
	for _, b := range o.boxes {
		b.close()
	}
	o.mu.Unlock()
	o.work.Wait()
}
