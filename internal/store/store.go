// Package store keeps the objects: their versions, their watches, and their bytes on disk before the answer.
//
// What is true is in memory: every object is an immutable value behind a shared pointer, and a write replaces the pointer.
// A file (bbolt) follows: one goroutine takes whatever changed since it last looked, writes it in one transaction with
// one fsync, and tells all who wait for it. So a write has two moments. It happens when [Store.Create] or [Store.Update]
// returns: every reader and every watch has it, and the work that it asks for can begin. It is safe when [Commit.Wait]
// returns: then it survives kill -9 and a power cut, and only then may a client be told that it was done.
//
// # Promises
//
//   - Objects that the store hands out are shared. Nobody changes them, ever; who wants another value makes a copy.
//   - Versions come from one counter over all objects. None is ever given twice, not even after a crash that lost the
//     objects which carried it: the file holds a ceiling that the counter has never reached.
//   - What is safe is a prefix: if a write is on disk, so is every earlier one, or a later one of the same object.
//   - A watch sees each write once, in order, or ends with an Expired error when it is too slow or asks for a past that
//     is no longer known. It holds nobody up: it reads from the same history as all others.
//   - What a client was told is going, or gone, stays so: a watch for clients ([WatchOptions].Settled) tells of a deletion, its
//     begin and its end, when that is on disk, and of what came after it then too; [Store.Settled] is for those who look.
//     Other writes are told at once: a Pod's start does not wait for the disk to be seen. A creation or a change that a crash
//     loses was answered to nobody, and comes again with its author; who must not do twice what an object asks for waits for
//     [Created].
//   - An object whose deletionTimestamp is set, with no grace period left and no finalizer, is gone with the write that
//     made it so (see [Gone]).
//   - A write to a full disk stays in memory and is tried again, with the next write or a second later; who waits for it
//     gets the error, and decides whether to take the write back.
//
// # The file
//
//	hull
//	├── meta
//	│   ├── format    1, as decimal text; a hulld that does not know the number refuses the file
//	│   └── ceiling   big-endian uint64: no version above it was ever given out
//	└── objects
//	    ├── pods
//	    │   └── NAMESPACE/NAME   record
//	    └── events
//	        └── NAMESPACE/NAME   record
//
//	record = 1 (one byte, the record's format), then the object in Kubernetes' protobuf encoding of its v1 type
//
// Events are written lazily: they ride along with the next write that somebody waits for, or go a quarter of a second
// later by themselves.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Object is what the store keeps: any of the types in the kinds table, by pointer.
type Object interface {
	metav1.Object
	runtime.Object
}

// Key names an object.
type Key struct{ Resource, Namespace, Name string }

func (k Key) String() string { return k.Resource + " " + k.Namespace + "/" + k.Name }

// Store is the set of all objects of one Hull.
type Store struct {
	log *slog.Logger
	db  *bolt.DB

	mu       sync.RWMutex
	version  uint64 // of the last write
	safe     uint64 // every write up to here is on disk
	ceiling  uint64 // on disk: versions up to here are safe to give out
	tables   map[string]*table
	open     *batch // takes the writes that come now
	flushing *batch // is being written, nil when the writer is idle
	closed   bool

	last     outcome       // the writer's own
	kick     chan struct{} // there is something that somebody waits for
	nudge    chan struct{} // there is something that can wait
	quit     chan struct{} // closed by Close: the writer writes what is left, and ends
	finished chan struct{} // closed by the writer as it ends
	janitor  *time.Timer
}

// headroom is how many versions are reserved on disk at a time. A crash skips at most that many.
const headroom = 1 << 20

// Open reads the file at path, which it makes if it is not there.
func Open(path string, log *slog.Logger) (*Store, error) {
	db, err := openFile(path)
	if err != nil {
		return nil, err
	}
	s := &Store{
		log: log, db: db,
		tables:   map[string]*table{},
		open:     newBatch(),
		kick:     make(chan struct{}, 1),
		nudge:    make(chan struct{}, 1),
		quit:     make(chan struct{}),
		finished: make(chan struct{}),
	}
	for _, k := range kinds() {
		s.tables[k.resource] = newTable(k)
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), db.Close())
	}
	s.safe = s.version
	s.janitor = time.AfterFunc(sweepEvery, s.sweep)
	go s.write()
	return s, nil
}

// Close writes what is not yet on disk and closes the file. Watches end; their channels are closed.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, t := range s.tables {
		t.history.announce()
	}
	s.mu.Unlock()
	s.janitor.Stop()
	close(s.quit)
	<-s.finished
	s.mu.Lock()
	for _, t := range s.tables {
		t.history.release() // who waits for a write that failed
	}
	s.mu.Unlock()
	err := s.seal()
	return errors.Join(err, s.db.Close())
}

// Version is the version of the last write.
func (s *Store) Version() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.version
}
