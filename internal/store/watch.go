package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// WatchOptions says what to watch, and from where.
type WatchOptions struct {
	Resource  string
	Namespace string                // "" = all
	Match     func(obj Object) bool // nil = every one; an object that stops matching is reported as deleted
	Since     uint64                // writes after this version; 0 = after now
	Initial   bool                  // first every object there is, as ADDED; Since is then not looked at
	Bookmarks bool                  // now and then an object with nothing but a version
	Settled   bool                  // deletions when they are on disk, for those who must not see them undone by a crash

	MarkInitial bool // such an object, with an annotation that says so, ends what Initial sends
}

const (
	bookmarkEvery = time.Minute
	watchChunk    = 64 // entries that a watch takes at a time
)

// watcher is the state of one watch. It has a goroutine, and a place in the history; nobody else holds anything for it.
type watcher struct {
	WatchOptions
	s       *Store
	t       *table
	at      uint64 // place in the history
	seen    uint64 // the version up to which everything was sent
	initial []Object
	out     chan watch.Event
}

// Watch sends every matching write from now on, or from a version on, until ctx ends or the store is closed: then the channel
// is closed. A watch that cannot go on without a gap gets one watch.Error event with a *metav1.Status (410, reason Expired)
// and ends. The same error is returned if the start is already too far back, or has not been reached.
func (s *Store) Watch(ctx context.Context, o WatchOptions) (<-chan watch.Event, error) {
	t, err := s.table(o.Resource)
	if err != nil {
		return nil, err
	}
	w := &watcher{WatchOptions: o, s: s, t: t, out: make(chan watch.Event, watchChunk)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	switch {
	case o.Initial:
		w.initial, w.at, w.seen = t.list(o.Namespace, o.Match), t.history.end(), s.version
	case o.Since == 0:
		w.at, w.seen = t.history.end(), s.version
	case o.Since > s.version:
		// Another store gave it out, whose objects say nothing about ours: waiting for it would pass over what happens here.
		return nil, apierrors.NewResourceExpired(fmt.Sprintf("unknown resource version: %d, the last one is %d: list again", o.Since, s.version))
	default:
		at, ok := t.history.place(o.Since)
		if !ok {
			return nil, expired(o.Since, t.history.begin)
		}
		w.at, w.seen = at, o.Since
	}
	t.watches[w] = struct{}{}
	go w.run(ctx)
	return w.out, nil
}

// expired is the API server's answer to a version that is too old.
func expired(asked, oldest uint64) *apierrors.StatusError {
	return apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", asked, oldest))
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.out)
	defer w.leave()
	if w.Initial {
		for _, obj := range w.initial {
			if !w.send(ctx, watch.Event{Type: watch.Added, Object: obj}) {
				return
			}
		}
		w.initial = nil
		if w.MarkInitial && !w.send(ctx, w.bookmark(true)) {
			return
		}
	}
	tick := time.NewTicker(bookmarkEvery)
	defer tick.Stop()
	for {
		entries, wake, end := w.next(ctx)
		if end {
			return
		}
		for _, e := range entries {
			if ev, ok := w.translate(e); ok && !w.send(ctx, ev) {
				return
			}
		}
		if len(entries) != 0 {
			continue
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return
		case <-tick.C:
			if w.Bookmarks && !w.send(ctx, w.bookmark(false)) {
				return
			}
		}
	}
}

func (w *watcher) leave() {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	delete(w.t.watches, w)
}

// next takes what comes next in the history; or, if there is nothing, the channel that is closed when there is. What waits for
// the disk is woken by the disk alone.
func (w *watcher) next(ctx context.Context) (entries []entry, wake <-chan struct{}, end bool) {
	w.s.mu.Lock()
	h := &w.t.history
	entries, ok := h.from(w.at, watchChunk)
	if !ok {
		begin := h.begin
		w.s.mu.Unlock()
		status := expired(w.seen, begin).Status()
		w.send(ctx, watch.Event{Type: watch.Error, Object: &status})
		return nil, nil, true
	}
	held := false
	if n := len(entries); w.Settled {
		entries = entries[:settled(entries, w.s.safe)]
		held = len(entries) == 0 && n > 0
	}
	w.at += uint64(len(entries))
	switch {
	case held:
		h.held, wake = true, h.landed
	case len(entries) == 0:
		w.seen = max(w.seen, w.s.version)
		h.waiting, wake = true, h.wake
	default:
		w.seen = entries[len(entries)-1].version
	}
	end = w.s.closed && len(entries) == 0
	w.s.mu.Unlock()
	return entries, wake, end
}

// translate is what one write means to this watch.
func (w *watcher) translate(e entry) (watch.Event, bool) {
	is := e.kind != watch.Deleted && w.matches(e.obj)
	was := e.old != nil && w.matches(e.old)
	switch {
	case is && was:
		return watch.Event{Type: watch.Modified, Object: e.obj}, true
	case is:
		return watch.Event{Type: watch.Added, Object: e.obj}, true
	case was && e.kind == watch.Deleted:
		return watch.Event{Type: watch.Deleted, Object: e.obj}, true
	case was:
		// It left the selection: the last value that was in it, with the version of the write that took it out.
		last := e.old.DeepCopyObject().(Object)
		last.SetResourceVersion(e.obj.GetResourceVersion())
		return watch.Event{Type: watch.Deleted, Object: last}, true
	}
	return watch.Event{}, false
}

func (w *watcher) matches(obj Object) bool {
	return (w.Namespace == "" || obj.GetNamespace() == w.Namespace) && (w.Match == nil || w.Match(obj))
}

func (w *watcher) send(ctx context.Context, ev watch.Event) bool {
	select {
	case w.out <- ev:
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *watcher) bookmark(initialEnd bool) watch.Event {
	obj := w.t.make()
	obj.GetObjectKind().SetGroupVersionKind(w.t.gvk)
	obj.SetResourceVersion(strconv.FormatUint(w.seen, 10))
	if initialEnd {
		obj.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	return watch.Event{Type: watch.Bookmark, Object: obj}
}
