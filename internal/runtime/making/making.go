// Package making is what containers wait for that are created in a sandbox while that is being made.
package making

import (
	"errors"
	"sync"
)

// Making is how far a sandbox has come.
type Making struct {
	ended chan struct{} // closed at the end

	mu     sync.Mutex
	failed bool
	inside sync.WaitGroup // who has entered before the end
}

// Begun is that of a sandbox that is being made.
func Begun() *Making { return &Making{ended: make(chan struct{})} }

// Done is that of one that was made long ago.
func Done() *Making {
	m := Begun()
	close(m.ended)
	return m
}

var errFailed = errors.New("the sandbox could not be made")

// Enter says that something is being made in the sandbox. It is an error if the sandbox is known not to come to be; else leave says
// that it has been made, or taken back.
func (m *Making) Enter() (leave func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case <-m.ended:
		if m.failed {
			return nil, errFailed
		}
		return func() {}, nil
	default:
		m.inside.Add(1)
		return m.inside.Done, nil
	}
}

// End says that the sandbox has been made, or could not be. In that case it returns when nothing is inside any more.
func (m *Making) End(failed bool) {
	m.mu.Lock()
	m.failed = failed
	close(m.ended)
	m.mu.Unlock()
	if failed {
		m.inside.Wait()
	}
}

// Await waits for that.
func (m *Making) Await() error {
	<-m.ended
	if m.failed { // not written after the end
		return errFailed
	}
	return nil
}
