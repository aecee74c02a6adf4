package pod

import (
	"context"
	"slices"
	"sync"
)

// makersPerCPU keeps the CPUs busy while some makers wait for the disk or for each other. More of them make nothing sooner: they queue
// for the kernel's locks, the longer the more Pods there are, each with a thread and all of a start in memory.
const makersPerCPU = 2

// slots bound how many sandboxes and containers are being made at once: more would only queue in the kernel. Who is nearer to
// its end comes first: of many Pods that are asked for at once few are half made, with all that it takes to make them in memory.
type slots struct {
	mu      sync.Mutex
	free    int
	waiting [3][]chan struct{} // by stage, in the order in which they came; closed when their turn comes
}

// stage is what a slot is for, the last one in a Pod's life first.
type stage int

const (
	starting  stage = iota // of a container
	creating               // of a container
	beginning              // of a sandbox
)

// take waits for a slot. A Pod that has ended meanwhile gets none.
func (s *slots) take(ctx context.Context, at stage) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.free > 0 {
		s.free--
		s.mu.Unlock()
		return s.give, nil
	}
	mine := make(chan struct{})
	s.waiting[at] = append(s.waiting[at], mine)
	s.mu.Unlock()
	select {
	case <-mine:
		return s.give, nil
	case <-ctx.Done():
		s.leave(at, mine)
		return nil, ctx.Err()
	}
}

// spare is a slot for what nobody waits for yet: there is one only when nobody waits for one.
func (s *slots) spare() (release func(), free bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free == 0 {
		return nil, false
	}
	s.free--
	return s.give, true
}

// give passes a slot on to who has waited longest, of those who are nearest to their end.
func (s *slots) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, queue := range s.waiting {
		if len(queue) > 0 {
			first := queue[0]
			s.waiting[at] = slices.Delete(queue, 0, 1)
			close(first)
			return
		}
	}
	s.free++
}

// leave gives up waiting.
func (s *slots) leave(at stage, mine chan struct{}) {
	s.mu.Lock()
	i := slices.Index(s.waiting[at], mine)
	if i >= 0 {
		s.waiting[at] = slices.Delete(s.waiting[at], i, i+1)
	}
	s.mu.Unlock()
	if i < 0 {
		s.give() // it came in the same moment
	}
}
