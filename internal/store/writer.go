package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"syscall"
	"time"

	"github.com/hull-pods/hull/internal/failpoint"
)

// fpCommit stands between the last byte of a transaction and its commit; fpCommitted between the commit and the answer.
var (
	fpCommit    = failpoint.New("store.commit")
	fpCommitted = failpoint.New("store.committed")
)

const (
	lazyDelay  = 250 * time.Millisecond
	retryDelay = time.Second
)

// batch is what one transaction writes: the last value of each object that changed (nil = removed).
type batch struct {
	dirty   map[Key]Object
	created map[Key]bool  // which of them the file has never had
	version uint64        // of the last write in it, once it is being written
	done    chan struct{} // closed when it is on disk, or failed
	err     error         // read after done
}

func newBatch() *batch {
	return &batch{dirty: map[Key]Object{}, created: map[Key]bool{}, done: make(chan struct{})}
}

// Commit is a write on its way to the disk. The zero Commit is done.
type Commit struct {
	s *Store
	b *batch
}

// Wait returns when the write is on disk: nil, or why it is not there.
func (c Commit) Wait(ctx context.Context) error {
	if c.b == nil {
		return nil
	}
	leaveNote(c.s.kick)
	select {
	case <-c.b.done:
		return c.b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enqueue notes a write for the disk. The mutex is held.
func (s *Store) enqueue(key Key, obj Object, lazy bool) Commit {
	s.open.dirty[key] = obj
	if lazy {
		leaveNote(s.nudge)
	} else {
		leaveNote(s.kick)
	}
	return Commit{s, s.open}
}

// pending is the batch that has the last write of an object, if that is not on disk yet. The mutex is held.
func (s *Store) pending(key Key, lazy bool) Commit {
	if _, ok := s.open.dirty[key]; ok {
		if !lazy {
			leaveNote(s.kick)
		}
		return Commit{s, s.open}
	}
	if s.flushing != nil {
		if _, ok := s.flushing.dirty[key]; ok {
			return Commit{s, s.flushing}
		}
	}
	return Commit{}
}

// Created is the commit of an object's creation, done if that is on disk.
func Created[T Object](s *Store, namespace, name string) Commit {
	key := KeyOf[T](namespace, name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	switch {
	case s.flushing != nil && s.flushing.created[key]:
		return Commit{s, s.flushing}
	case s.open.created[key]:
		return Commit{s, s.open}
	}
	return Commit{}
}

// Settled is the commit of what began or ended a deletion in a resource and is not on disk yet. Who looks at objects for a client
// waits for it before: what the client is told is gone stays gone.
func (s *Store) Settled(resource string) Commit {
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.tables[resource]
	switch {
	case t == nil || t.history.ending <= s.safe:
		return Commit{}
	case s.flushing != nil && t.history.ending <= s.flushing.version:
		return Commit{s, s.flushing}
	}
	return Commit{s, s.open}
}

// leaveNote wakes the writer; a note that is there already says the same.
func leaveNote(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write is the one goroutine that writes the file.
func (s *Store) write() {
	defer close(s.finished)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	waiting := false // the timer runs
	for {
		select {
		case <-s.kick:
		case <-timer.C:
		case <-s.nudge:
			if !waiting {
				waiting = true
				timer.Reset(lazyDelay)
			}
			continue
		case <-s.quit:
			s.flush()
			return
		}
		waiting = false
		timer.Stop()
		if !s.flush() {
			waiting = true
			timer.Reset(retryDelay)
		}
	}
}

// flush writes what is open. It returns false when that failed and must be tried again.
func (s *Store) flush() bool {
	s.mu.Lock()
	b := s.open
	if len(b.dirty) == 0 {
		s.mu.Unlock()
		return true
	}
	s.open, s.flushing = newBatch(), b
	b.version = s.version
	ceiling := s.ceiling
	if ceiling-min(s.version, ceiling) < headroom/2 {
		ceiling = s.version + headroom
	}
	s.mu.Unlock()

	err := s.save(b, ceiling)
	if err == nil {
		err = fpCommitted.Hit()
	}

	s.mu.Lock()
	s.flushing = nil
	if err == nil {
		s.ceiling, s.safe = ceiling, b.version
		for _, t := range s.tables {
			t.history.release()
		}
	} else {
		b.err = unsaved(s.db.Path(), err)
		for key, obj := range b.dirty {
			if _, newer := s.open.dirty[key]; !newer {
				s.open.dirty[key] = obj
			}
		}
		maps.Copy(s.open.created, b.created)
	}
	s.mu.Unlock()
	close(b.done)
	s.last.tell(s.log, b)
	return err == nil
}

// outcome is how the last write went, as the log was told.
type outcome string

// tell tells the log of a write that failed, but not with each try of a second; and once that it did not any more.
func (o *outcome) tell(log *slog.Logger, b *batch) {
	before := *o
	*o = ""
	if b.err != nil {
		*o = outcome(b.err.Error())
	}
	switch {
	case *o == before:
	case b.err != nil:
		log.Error("objects are not on disk", "error", b.err, "objects", len(b.dirty))
	default:
		log.Info("objects are on disk again", "objects", len(b.dirty))
	}
}

// unsaved says that a change is not on disk, and what a person can do about it.
func unsaved(path string, err error) error {
	var named *fs.PathError
	if !errors.As(err, &named) {
		err = fmt.Errorf("write %s: %w", path, err)
	}
	err = fmt.Errorf("the change is not on disk: %w", err)
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: make room, and it will be written", err)
	}
	return err
}
