package outbox

import "sync"

// box is one reader's. It keeps an event at most once, so that it is as large as what changed, not as the history.
type box[Event comparable] struct {
	mu      sync.Mutex
	pending []Event
	have    map[Event]bool
	wake    chan struct{}
	done    chan struct{}
	once    sync.Once
}

func newBox[Event comparable]() *box[Event] {
	return &box[Event]{have: map[Event]bool{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func (b *box[Event]) put(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.have[e] {
		return
	}
	b.have[e] = true
	b.pending = append(b.pending, e)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *box[Event]) take() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.pending
	b.pending = nil
	clear(b.have)
	return list
}

func (b *box[Event]) close() { b.once.Do(func() { close(b.done) }) }

func (b *box[Event]) run(out chan<- Event) {
	defer close(out)
	for {
		select {
		case <-b.done:
			return
		case <-b.wake:
		}
		for _, e := range b.take() {
			select {
			case out <- e:
			case <-b.done:
				return
			}
		}
	}
}
