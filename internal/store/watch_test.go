package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// take reads n events and writes each as TYPE name@version.
func take(t *testing.T, c <-chan watch.Event, n int) string {
	t.Helper()
	var out []string
	for range n {
		ev, ok := <-c
		if !ok {
			out = append(out, "END")
			break
		}
		switch obj := ev.Object.(type) {
		case *metav1.Status:
			out = append(out, fmt.Sprintf("%s %d %s", ev.Type, obj.Code, obj.Reason))
		case Object:
			out = append(out, fmt.Sprintf("%s %s@%s", ev.Type, obj.GetName(), obj.GetResourceVersion()))
		}
	}
	return strings.Join(out, ", ")
}

func mustWatch(t *testing.T, s *Store, o WatchOptions) <-chan watch.Event {
	t.Helper()
	o.Resource = "pods"
	c, err := s.Watch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestWatch(t *testing.T) {
	s := fresh(t)
	mustCreate(t, s, pod("default", "a"))
	now := mustWatch(t, s, WatchOptions{})
	initial := mustWatch(t, s, WatchOptions{Initial: true, MarkInitial: true})
	label(t, s, "default", "a", "x")
	mustCreate(t, s, pod("other", "b"))
	if _, _, err := s.Remove(Key{"pods", "default", "a"}, nil); err != nil {
		t.Fatal(err)
	}
	want(t, take(t, now, 3), "MODIFIED a@2, ADDED b@3, DELETED a@4")
	want(t, take(t, initial, 5), "ADDED a@1, BOOKMARK @1, MODIFIED a@2, ADDED b@3, DELETED a@4")
	want(t, take(t, mustWatch(t, s, WatchOptions{Since: 2}), 2), "ADDED b@3, DELETED a@4")
	want(t, take(t, mustWatch(t, s, WatchOptions{Since: 1, Namespace: "default"}), 2), "MODIFIED a@2, DELETED a@4")
	if _, _, err := s.Remove(Key{"pods", "other", "b"}, nil); err != nil {
		t.Fatal(err)
	}
	want(t, take(t, mustWatch(t, s, WatchOptions{Since: 4}), 1), "DELETED b@5")
}

// TestWatchSelection: an object enters and leaves what a watch selects.
func TestWatchSelection(t *testing.T) {
	s := fresh(t)
	c := mustWatch(t, s, WatchOptions{Match: func(o Object) bool { return o.GetLabels()["app"] == "x" }})
	mustCreate(t, s, pod("default", "a"))
	label(t, s, "default", "a", "x")
	label(t, s, "default", "a", "y")
	label(t, s, "default", "a", "z")
	label(t, s, "default", "a", "x")
	if _, _, err := s.Remove(Key{"pods", "default", "a"}, nil); err != nil {
		t.Fatal(err)
	}
	ev := <-c
	if ev.Type != watch.Added || ev.Object.(*corev1.Pod).Labels["app"] != "x" {
		t.Errorf("first: %v", ev)
	}
	left := <-c
	if p := left.Object.(*corev1.Pod); left.Type != watch.Deleted || p.Labels["app"] != "x" || p.ResourceVersion != "3" {
		t.Errorf("left: %v", left)
	}
	want(t, take(t, c, 2), "ADDED a@5, DELETED a@6")
}

// TestWatchOfTheFuture: a client that knew another Hull at this place must look again, not wait for what never comes.
func TestWatchOfTheFuture(t *testing.T) {
	s := fresh(t)
	mustCreate(t, s, pod("default", "a"))
	if _, err := s.Watch(t.Context(), WatchOptions{Resource: "pods", Since: 2}); !apierrors.IsResourceExpired(err) {
		t.Errorf("a watch from version 2 of 1: %v", err)
	}
}

func TestWatchTooOld(t *testing.T) {
	s := fresh(t)
	mustCreate(t, s, pod("default", "a"))
	slow := mustWatch(t, s, WatchOptions{Since: 1})
	for i := range 3 * s.tables["pods"].keep {
		label(t, s, "default", "a", fmt.Sprint(i))
	}
	_, err := s.Watch(t.Context(), WatchOptions{Resource: "pods", Since: 1})
	if err == nil || !strings.HasPrefix(err.Error(), "too old resource version: 1 (") {
		t.Errorf("a watch from the past: %v", err)
	}
	var last watch.Event
	n := 0
	for ev := range slow {
		last = ev
		n++
	}
	if last.Type != watch.Error || last.Object.(*metav1.Status).Code != 410 || last.Object.(*metav1.Status).Reason != metav1.StatusReasonExpired {
		t.Errorf("after %d events the slow watch got %v", n, last)
	}
}

func TestWatchEnds(t *testing.T) {
	s := fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := s.Watch(ctx, WatchOptions{Resource: "pods"})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, ok := <-c; ok {
		t.Error("an event after the end")
	}
	other := mustWatch(t, s, WatchOptions{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := <-other; ok {
		t.Error("an event after close")
	}
}

// TestWatchesAgree: many watches beside many writers all see the same, which is what the versions say.
func TestWatchesAgree(t *testing.T) {
	s := fresh(t)
	const watches, writers, each = 20, 4, 100
	seen := make([]string, watches)
	var wg, ww sync.WaitGroup
	for i := range watches {
		c := mustWatch(t, s, WatchOptions{})
		ww.Go(func() { seen[i] = take(t, c, writers*each) })
	}
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if _, _, err := s.Create(pod("default", fmt.Sprintf("p-%d-%d", w, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	ww.Wait()
	for i := range seen {
		if seen[i] != seen[0] {
			t.Errorf("watch %d saw another order", i)
		}
	}
	for i, ev := range strings.Split(seen[0], ", ") {
		if !strings.HasSuffix(ev, fmt.Sprintf("@%d", i+1)) {
			t.Fatalf("event %d is %s", i, ev)
		}
	}
}

func TestBookmarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fresh(t)
		mustCreate(t, s, pod("default", "a"))
		c := mustWatch(t, s, WatchOptions{Bookmarks: true, Namespace: "other"})
		label(t, s, "default", "a", "x")
		start := time.Now()
		ev := <-c
		if p := ev.Object.(*corev1.Pod); ev.Type != watch.Bookmark || p.ResourceVersion != "2" || p.Name != "" || time.Since(start) != bookmarkEvery {
			t.Errorf("after %v: %v", time.Since(start), ev)
		}
	})
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fresh(t)
		r := s.Recorder("kubelet", "host")
		web := mustCreate(t, s, pod("default", "web")).(*corev1.Pod)
		for range 3 {
			r.Event(Ref(web, "spec.containers{a}"), corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container")
			time.Sleep(time.Second)
		}
		r.Event(Ref(web, "spec.containers{b}"), corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container")
		events := allEvents(t, s)
		if len(events) != 2 || events[0].Count != 3 || events[0].LastTimestamp.Sub(events[0].FirstTimestamp.Time) != 2*time.Second || events[1].Count != 1 {
			t.Errorf("events: %v", events)
		}
		if !strings.HasPrefix(events[0].Name, "web.") || events[0].Source.Component != "kubelet" || events[0].InvolvedObject.UID != web.UID {
			t.Errorf("event: %v", events[0])
		}
		time.Sleep(time.Hour + 2*sweepEvery)
		synctest.Wait()
		if events := allEvents(t, s); len(events) != 0 {
			t.Errorf("after an hour: %v", events)
		}
	})
}

// TestSimilarEvents: a message that is never the same does not fill the store.
func TestSimilarEvents(t *testing.T) {
	s := fresh(t)
	r := s.Recorder("kubelet", "host")
	web := mustCreate(t, s, pod("default", "web")).(*corev1.Pod)
	for i := range 100 {
		r.Event(Ref(web, ""), corev1.EventTypeWarning, "Failed", fmt.Sprintf("try %d", i))
	}
	events := allEvents(t, s)
	last := events[len(events)-1]
	if len(events) != similarLimit+1 || last.Count != 100-similarLimit || last.Message != combinedPrefix+"try 99" {
		t.Errorf("%d events, the last: %v", len(events), last)
	}
}

// TestLongEvent: what an image or a registry says into an error does not fill the store.
func TestLongEvent(t *testing.T) {
	s := fresh(t)
	web := mustCreate(t, s, pod("default", "web")).(*corev1.Pod)
	for range 2 {
		s.Recorder("kubelet", "host").Event(Ref(web, ""), corev1.EventTypeWarning, "Failed", strings.Repeat("ä", 1<<20))
	}
	events := allEvents(t, s)
	if len(events) != 1 || events[0].Count != 2 || events[0].Message != strings.Repeat("ä", messageLimit/2-2)+"..." {
		t.Errorf("%d events, the first has %d bytes, count %d", len(events), len(events[0].Message), events[0].Count)
	}
}

func TestEventLimit(t *testing.T) {
	s := fresh(t)
	r := s.Recorder("kubelet", "host")
	limit := s.tables["events"].limit
	for i := range limit + 10 {
		r.Event(corev1.ObjectReference{Namespace: "default", Name: fmt.Sprintf("p%d", i), UID: "u"}, corev1.EventTypeNormal, fmt.Sprint(i), "m")
	}
	s.sweep()
	if n := len(allEvents(t, s)); n != limit {
		t.Errorf("%d events are kept, want %d", n, limit)
	}
}

func allEvents(t *testing.T, s *Store) []*corev1.Event {
	t.Helper()
	events, _, err := List[*corev1.Event](s, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// TestRest: a Hull at rest does not keep its past in memory.
func TestRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fresh(t)
		mustCreate(t, s, pod("default", "a"))
		for i := range 1000 {
			label(t, s, "default", "a", fmt.Sprint(i))
		}
		time.Sleep(3 * sweepEvery)
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if n := len(s.tables["pods"].history.entries); n != restingHistory {
			t.Errorf("%d entries are kept", n)
		}
	})
}

// TestRestAfterBurst: what a watch has yet to read stays, and goes when it has.
func TestRestAfterBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fresh(t)
		mustCreate(t, s, pod("default", "a"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		events, err := s.Watch(ctx, WatchOptions{Resource: "pods"})
		if err != nil {
			t.Fatal(err)
		}
		const writes = 1000
		for i := range writes {
			label(t, s, "default", "a", fmt.Sprint(i))
		}
		entries := func() int {
			synctest.Wait()
			Rest(s)
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(s.tables["pods"].history.entries)
		}
		if n := entries(); n <= restingHistory || n >= writes {
			t.Errorf("%d entries are kept for a watch that has read none", n)
		}
		for i := range writes {
			if ev := <-events; ev.Type != watch.Modified || ev.Object.(*corev1.Pod).Labels["app"] != fmt.Sprint(i) {
				t.Fatalf("event %d: %v", i, ev)
			}
		}
		if n := entries(); n != restingHistory {
			t.Errorf("%d entries are kept when all was read", n)
		}
		cancel()
		synctest.Wait()
		if n := len(s.tables["pods"].watches); n != 0 {
			t.Errorf("%d watches are still known", n)
		}
	})
}
