package pod

import (
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/runtime"
)

// inbox holds what a worker has yet to look at. Whoever puts something in never waits: of the object the last value
// counts, that something happened in the runtime counts once, and there are no more results than actions.
//
// It wakes the worker, whose goroutine exists only while there is something to look at: one that waits keeps the stack of the
// deepest call that it ever made.
type inbox struct {
	mu     sync.Mutex
	mail   mail
	news   bool        // there is something to look at
	awake  bool        // the worker's goroutine exists
	closed bool        // it is not started any more
	wake   func()      // starts it
	timer  *time.Timer // has it look again at the latest
}

// mail is what has come since the worker looked last.
type mail struct {
	pod     *v1.Pod // nil: no news
	gone    bool    // the object is no longer in the store
	results []result
	stalled []runtime.Event // containers whose output waits for their log
}

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
	i.mu.Lock()
	defer i.mu.Unlock()
	i.news = true
	if !i.awake && !i.closed {
		i.awake = true
		i.wake()
	}
}

// take is what has come; false when there is nothing to look at: the worker's goroutine then ends.
func (i *inbox) take() (mail, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.news || i.closed {
		i.awake = false
		return mail{}, false
	}
	m := i.mail
	i.mail, i.news = mail{}, false
	return m, true
}

// close lets the worker sleep for good; it ends what it is at.
func (i *inbox) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	i.timer.Stop()
}
