package pod

import (
	"sync"

	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/runtime"
)

// inbox holds what a worker has yet to look at. Whoever puts something in never waits: of the object the last value
// counts, that something happened in the runtime counts once, and there are no more results than actions.
type inbox struct {
	mu   sync.Mutex
	mail mail
	wake chan struct{}
}

// mail is what has come since the worker looked last.
type mail struct {
	pod     *v1.Pod // nil: no news
	gone    bool    // the object is no longer in the store
	results []result
	stalled []runtime.Event // containers whose output waits for their log
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

func (i *inbox) put(pod *v1.Pod, gone bool) {
	i.mu.Lock()
	if pod != nil {
		i.mail.pod = pod
	}
	i.mail.gone = i.mail.gone || gone
	i.mu.Unlock()
	i.look()
}

func (i *inbox) result(r result) {
	i.mu.Lock()
	i.mail.results = append(i.mail.results, r)
	i.mu.Unlock()
	i.look()
}

func (i *inbox) stall(ev runtime.Event) {
	i.mu.Lock()
	i.mail.stalled = append(i.mail.stalled, ev)
	i.mu.Unlock()
	i.look()
}

// look has the worker look at what the runtime has.
func (i *inbox) look() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

func (i *inbox) take() mail {
	i.mu.Lock()
	defer i.mu.Unlock()
	m := i.mail
	i.mail = mail{}
	return m
}
