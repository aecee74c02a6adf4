package keeper

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// keptExits bounds how many exits that match no record are kept for a Born that is still on its way. Between a clone and
// its Born only orphans of containers and other starts can end, so this is generous.
const keptExits = 1024

// entry is a record inside the keeper. Descriptors are bare numbers: an os.File of a pipe would be given to the poller,
// and wake the keeper for each line that a container writes.
type entry struct {
	key  string
	fds  []int
	pid  int
	exit *Exit
	n    uint64 // order of registration
}

func (e *entry) lives() bool { return e.pid != 0 && e.exit == nil }

// table holds the records, and nothing else that happens in the keeper: it can be tested without a process.
type table struct {
	entries map[string]*entry
	byPID   map[int]*entry // those that live
	n       uint64
	kept    []Exit // exits of unknown processes, oldest first
	state   func(pid int) (linux.ChildState, error)
	exists  func(pid int) bool
	closeFD func(fd int)
}

func newTable() *table {
	return &table{
		entries: map[string]*entry{},
		byPID:   map[int]*entry{},
		state:   linux.StateOfChild,
		exists:  func(pid int) bool { return unix.Kill(pid, 0) != unix.ESRCH },
		closeFD: func(fd int) { unix.Close(fd) },
	}
}

// register takes the descriptors over, also when it fails.
func (t *table) register(key string, fds []int) error {
	var err error
	switch {
	case key == "" || len(key) > MaxKey || len(fds) > MaxFDs:
		err = fmt.Errorf("a record with %d bytes of key, %d descriptors: %w", len(key), len(fds), errdefs.ErrInvalidArgument)
	case t.entries[key] != nil:
		err = fmt.Errorf("record %s: %w", key, errdefs.ErrAlreadyExists)
	}
	if err != nil {
		t.closeAll(fds)
		return err
	}
	t.n++
	t.entries[key] = &entry{key: key, fds: fds, n: t.n}
	return nil
}

// born names the process of a record, and returns its exit when it has ended already.
func (t *table) born(key string, pid int, now time.Time) (*Exit, error) {
	e := t.entries[key]
	switch {
	case e == nil:
		return nil, fmt.Errorf("record %s: %w", key, errdefs.ErrNotFound)
	case e.pid != 0:
		return nil, fmt.Errorf("record %s has process %d: %w", key, e.pid, errdefs.ErrAlreadyExists)
	case pid <= 0:
		return nil, fmt.Errorf("record %s: process %d: %w", key, pid, errdefs.ErrInvalidArgument)
	}
	state, err := t.state(pid)
	if err != nil {
		return nil, err
	}
	early := t.takeKept(pid) // dropped when the child lives: then it was of a process that had the number before
	e.pid = pid
	if state == linux.NotChild && early != nil {
		e.exit = &Exit{Key: key, PID: pid, Status: early.Status, At: early.At}
		return e.exit, nil
	}
	if state == linux.NotChild && !t.exists(pid) {
		// Reaped by somebody else, or before what is kept: it has certainly ended, and nobody knows how.
		e.exit = &Exit{Key: key, PID: pid, Status: 255 << 8, At: now}
		return e.exit, nil
	}
	t.byPID[pid] = e
	return nil, nil
}

// takeKept removes all kept exits of a process number and returns the latest.
func (t *table) takeKept(pid int) *Exit {
	var found *Exit
	t.kept = slices.DeleteFunc(t.kept, func(e Exit) bool {
		if e.PID != pid {
			return false
		}
		found = &Exit{PID: e.PID, Status: e.Status, At: e.At}
		return true
	})
	return found
}

// add takes more descriptors over for a record, also when it fails.
func (t *table) add(key string, fds []int) error {
	e := t.entries[key]
	var err error
	switch {
	case e == nil:
		err = fmt.Errorf("record %s: %w", key, errdefs.ErrNotFound)
	case len(e.fds)+len(fds) > MaxFDs:
		err = fmt.Errorf("record %s: %d descriptors and %d more: %w", key, len(e.fds), len(fds), errdefs.ErrInvalidArgument)
	}
	if err != nil {
		t.closeAll(fds)
		return err
	}
	e.fds = append(e.fds, fds...)
	return nil
}

func (t *table) forget(keys []string) {
	for _, key := range keys {
		e := t.entries[key]
		if e == nil {
			continue
		}
		t.closeAll(e.fds)
		delete(t.entries, key)
		if e.lives() {
			delete(t.byPID, e.pid)
		}
	}
}

// exited notes that a child was reaped, and returns its exit when it belongs to a record.
func (t *table) exited(pid int, status unix.WaitStatus, at time.Time) *Exit {
	e := t.byPID[pid]
	if e == nil {
		if len(t.kept) >= keptExits {
			t.kept = append(t.kept[:0], t.kept[keptExits/2:]...)
		}
		t.kept = append(t.kept, Exit{PID: pid, Status: status, At: at})
		return nil
	}
	delete(t.byPID, pid)
	e.exit = &Exit{Key: e.key, PID: pid, Status: status, At: at}
	return e.exit
}

// check is an error unless the record's process is pid and has not been reaped.
func (t *table) check(key string, pid int) error {
	if e := t.entries[key]; e == nil || !e.lives() || e.pid != pid {
		return fmt.Errorf("process %d of record %s: %w", pid, key, errdefs.ErrNotFound)
	}
	return nil
}

// list returns the records in the order of their registration.
func (t *table) list() []*entry {
	return slices.SortedFunc(maps.Values(t.entries), func(a, b *entry) int { return cmp.Compare(a.n, b.n) })
}

func (t *table) closeAll(fds []int) {
	for _, fd := range fds {
		t.closeFD(fd)
	}
}
