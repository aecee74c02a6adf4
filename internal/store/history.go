package store

import (
	"slices"
	"sort"

	"k8s.io/apimachinery/pkg/watch"
)

// entry is one write, as watches see it.
type entry struct {
	version uint64
	kind    watch.EventType
	obj     Object // the new value; of a removal, the last one
	old     Object // what was there before; nil for a new object
	held    bool   // clients hear of it, and of what comes after it, when it is on disk
}

// history is the recent writes of one resource. All watches of the resource read it, each at its own place; places are
// counted from the beginning of time, so that they stay valid while the front is cut off. The store's mutex guards it.
type history struct {
	keep    int           // at least that many entries are kept, at most twice as many
	begin   uint64        // every write after this version is in entries
	first   uint64        // the place of entries[0]
	entries []entry       // in the order of their versions
	wake    chan struct{} // closed at the next write
	waiting bool          // somebody holds wake
	rested  uint64        // end when the last sweep came by
	ending  uint64        // version of the last write that is held
	landed  chan struct{} // closed when something is on disk
	held    bool          // somebody holds landed
}

func (h *history) add(e entry) {
	if len(h.entries) >= 2*h.keep {
		h.cut(len(h.entries) - h.keep)
	}
	h.entries = append(h.entries, e)
	if e.held {
		h.ending = e.version
	}
	h.announce()
}

// cut forgets the oldest n entries.
func (h *history) cut(n int) {
	if n <= 0 {
		return
	}
	h.begin = h.entries[n-1].version
	h.first += uint64(n)
	h.entries = slices.Clone(h.entries[n:])
}

// announce wakes every watch.
func (h *history) announce() {
	if h.waiting {
		close(h.wake)
		h.wake = make(chan struct{})
		h.waiting = false
	}
}

// release wakes every watch that waits for the disk.
func (h *history) release() {
	if h.held {
		close(h.landed)
		h.landed = make(chan struct{})
		h.held = false
	}
}

// settled is how many of these entries clients may hear of when every write up to safe is on disk.
func settled(entries []entry, safe uint64) int {
	for i, e := range entries {
		if e.held && e.version > safe {
			return i
		}
	}
	return len(entries)
}

// end is the place after the last entry.
func (h *history) end() uint64 { return h.first + uint64(len(h.entries)) }

// place finds the first entry after a version; false when entries after that version are already forgotten.
func (h *history) place(version uint64) (uint64, bool) {
	if version < h.begin {
		return 0, false
	}
	i := sort.Search(len(h.entries), func(i int) bool { return h.entries[i].version > version })
	return h.first + uint64(i), true
}

// from returns up to n entries at a place; false when they are already forgotten.
func (h *history) from(place uint64, n int) ([]entry, bool) {
	if place < h.first {
		return nil, false
	}
	rest := h.entries[place-h.first:]
	return rest[:min(n, len(rest))], true
}
