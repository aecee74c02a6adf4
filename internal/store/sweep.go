package store

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	sweepEvery = time.Minute
	// A past that nobody asked for within a sweep or two is forgotten, so that a Hull at rest is small.
	restingHistory = 64
)

// sweep forgets what is past its time: objects with a time to live, and history that idles.
func (s *Store) sweep() {
	for _, t := range s.tables {
		for _, key := range s.stale(t) {
			if _, _, err := s.Remove(key, nil); err != nil {
				s.log.Debug("an expired object is already gone", "object", key, "error", err)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for _, t := range s.tables {
		t.history.rest()
	}
	s.janitor.Reset(sweepEvery)
}

// Rest forgets the past that every watch has read, but for what somebody who has just looked may still want to go on from. It is
// for the end of a burst of work: a hundred Pods that start leave four values of each behind, a quarter of all that is kept of them.
func Rest(s *Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tables {
		read := max(len(t.history.entries)-restingHistory, 0)
		for w := range t.watches {
			read = min(read, int(w.at-min(w.at, t.history.first)))
		}
		t.history.cut(read)
	}
}

// rest cuts a history that has not grown since it was last asked to rest.
func (h *history) rest() {
	if end := h.end(); end != h.rested {
		h.rested = end
		return
	}
	h.cut(len(h.entries) - restingHistory)
}

// stale lists the objects of a resource that are older than its time to live, or beyond its limit.
func (s *Store) stale(t *table) []Key {
	if t.ttl == 0 && t.limit == 0 {
		return nil
	}
	s.mu.RLock()
	all := t.list("", nil)
	s.mu.RUnlock()
	slices.SortFunc(all, func(a, b Object) int { return lastWritten(a).Compare(lastWritten(b)) })
	horizon := time.Now().Add(-t.ttl)
	var keys []Key
	for i, obj := range all {
		old := t.ttl != 0 && !lastWritten(obj).After(horizon)
		beyond := t.limit != 0 && len(all)-i > t.limit
		if !old && !beyond {
			break
		}
		keys = append(keys, Key{t.resource, obj.GetNamespace(), obj.GetName()})
	}
	return keys
}

// lastWritten is when an object last said something.
func lastWritten(obj Object) time.Time {
	if ev, ok := obj.(*corev1.Event); ok {
		for _, t := range []time.Time{ev.LastTimestamp.Time, ev.EventTime.Time, ev.FirstTimestamp.Time} {
			if !t.IsZero() {
				return t
			}
		}
	}
	return obj.GetCreationTimestamp().Time
}
