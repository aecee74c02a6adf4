package store

import (
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hull-pods/hull/internal/failpoint"
)

// TestSettledWatch: while the disk does not hold a deletion, watches for clients have not heard of it, nor of what came after;
// the others have.
func TestSettledWatch(t *testing.T) {
	s := fresh(t)
	mustCreate(t, s, pod("default", "a"))
	mustCreate(t, s, pod("default", "b"))
	_, commit, err := s.Create(pod("default", "c"))
	if err != nil {
		t.Fatal(err)
	}
	if err := commit.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	early, settled := mustWatch(t, s, WatchOptions{}), mustWatch(t, s, WatchOptions{Settled: true})
	disk, err := s.db.Begin(true) // no other transaction begins
	if err != nil {
		t.Fatal(err)
	}
	label(t, s, "default", "b", "x")
	want(t, take(t, settled, 1), "MODIFIED b@4") // a change like a status: at once
	if _, _, err = s.Remove(Key{"pods", "default", "a"}, nil); err != nil {
		t.Fatal(err)
	}
	_, _, err = Update(s, "default", "b", func(p *corev1.Pod) (*corev1.Pod, error) {
		next, at := *p, metav1.Now()
		next.DeletionTimestamp, next.DeletionGracePeriodSeconds = &at, new(int64(30))
		return &next, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, s, pod("default", "d"))
	if s.Settled("pods") == (Commit{}) {
		t.Error("nothing to settle, and the disk waits")
	}
	var safe atomic.Bool
	told := make(chan string)
	go func() {
		first := take(t, settled, 1)
		if !safe.Load() {
			first += ", before the disk had it"
		}
		told <- first + ", " + take(t, settled, 2)
	}()
	want(t, take(t, early, 4), "MODIFIED b@4, DELETED a@5, MODIFIED b@6, ADDED d@7")
	label(t, s, "default", "c", "x")
	safe.Store(true)
	if err := disk.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := s.Settled("pods").Wait(t.Context()); err != nil {
		t.Error(err)
	}
	want(t, <-told, "DELETED a@5, MODIFIED b@6, ADDED d@7")
	want(t, take(t, settled, 1), "MODIFIED c@8")
	if s.Settled("pods") != (Commit{}) {
		t.Error("all is told, and something is not settled")
	}
}

// TestSettledAfterAnError: a deletion that the disk refused is told when it took it after all.
func TestSettledAfterAnError(t *testing.T) {
	s := fresh(t)
	_, commit, err := s.Create(pod("default", "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := commit.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	settled := mustWatch(t, s, WatchOptions{Settled: true})
	if err := failpoint.Set("store.commit=error"); err != nil {
		t.Fatal(err)
	}
	_, commit, err = s.Remove(Key{"pods", "default", "a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := commit.Wait(t.Context()); err == nil {
		t.Error("the commit did not fail")
	}
	want(t, take(t, settled, 1), "DELETED a@2")
	if s.Settled("pods") != (Commit{}) {
		t.Error("told, and not settled")
	}
}

// TestSettledWatchEnds: a store that closes without its disk leaves no watch behind.
func TestSettledWatchEnds(t *testing.T) {
	s, err := Open(t.TempDir()+"/objects.db", fresh(t).log)
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, s, pod("default", "a"))
	settled := mustWatch(t, s, WatchOptions{Settled: true})
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	_, commit, err := s.Remove(Key{"pods", "default", "a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := commit.Wait(t.Context()); err == nil {
		t.Error("the disk is gone, and the deletion is on it")
	}
	if err := s.Close(); err == nil {
		t.Error("the disk is gone, and all was well")
	}
	for ev := range settled {
		if ev.Type == watch.Deleted {
			t.Errorf("told of a deletion that is not on disk: %v", ev)
		}
	}
}
