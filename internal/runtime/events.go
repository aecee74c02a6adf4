package runtime

import "sync"

// mailbox passes events to one owner without ever making the sender wait: an exit must not be held up by a slow reader.
// It keeps at most one event of a kind for each thing, so that it is as large as what changed, not as the history.
type mailbox struct {
	mu      sync.Mutex
	pending []Event
	have    map[Event]bool
	wake    chan struct{}
	done    chan struct{}
	once    sync.Once
}

func newMailbox() *mailbox {
	return &mailbox{have: map[Event]bool{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func (m *mailbox) put(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.have[e] {
		return
	}
	m.have[e] = true
	m.pending = append(m.pending, e)
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *mailbox) take() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.pending
	m.pending = nil
	clear(m.have)
	return list
}

func (m *mailbox) close() { m.once.Do(func() { close(m.done) }) }

func (m *mailbox) run(out chan<- Event) {
	defer close(out)
	for {
		select {
		case <-m.done:
			return
		case <-m.wake:
		}
		for _, e := range m.take() {
			select {
			case out <- e:
			case <-m.done:
				return
			}
		}
	}
}

// Events tells an owner what happened to its sandboxes; each event is a hint to look at the status. There is one reader
// an owner: a second call takes over from the first, whose channel closes. The channel closes with the Runtime.
func (r *Runtime) Events(owner Owner) <-chan Event {
	m, out := newMailbox(), make(chan Event)
	r.mu.Lock()
	if old := r.listeners[owner]; old != nil {
		old.close()
	}
	r.listeners[owner] = m
	r.mu.Unlock()
	r.work.Go(func() { m.run(out) })
	return out
}

func (r *Runtime) emit(owner Owner, e Event) {
	r.mu.Lock()
	m := r.listeners[owner]
	r.mu.Unlock()
	if m != nil {
		m.put(e)
	}
}
