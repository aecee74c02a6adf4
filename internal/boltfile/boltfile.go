// Package boltfile sees to it that a bbolt database is whole before anybody relies on it: it makes new ones at one go, and tells of
// one that is not.
//
// bbolt takes for granted that its file is: one that was cut off, or has foreign bytes in it, makes it panic, in goroutines of its own
// too. That would tell nobody which file it was about, and what to do.
package boltfile

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Make makes an empty database where there is none. It is there whole or not at all: bbolt itself leaves on a full disk, or when the
// power fails, a file that has its header alone, and takes that for a database ever after.
func Make(path string) (err error) {
	if st, err := os.Stat(path); err == nil && st.Size() > 0 {
		return nil
	}
	half := path + ".new"
	defer func() {
		if err != nil {
			err = fmt.Errorf("make %s: %w", path, err)
			_ = os.Remove(half)
		}
	}()
	if err := os.Remove(half); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	db, err := bolt.Open(half, 0o600, nil)
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if err := os.Rename(half, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Files are databases that one thing is made of. There need not be any yet.
type Files struct {
	Paths  []string
	WayOut string // what a person may do about a damaged one
	Log    *slog.Logger
}

// Open calls open, which opens them, if none is cut off. If open panics over one, that is an error too.
func (f Files) Open(open func() error) (err error) {
	// A page that is mapped, and beyond the file's end, is a fault.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	which := f.Paths[0]
	defer func() {
		if p := recover(); p != nil {
			f.Log.Debug("a database cannot be read", "path", which, "panic", p, "stack", string(debug.Stack()))
			err = f.damaged(which, fmt.Sprint(p))
		}
	}()
	for _, which = range f.Paths {
		has, had, err := length(which)
		if err != nil {
			return err
		}
		if has < had {
			return f.damaged(which, fmt.Sprintf("it has %d bytes, and had %d", has, had))
		}
	}
	return open()
}

func (f Files) damaged(path, how string) error {
	return fmt.Errorf("%s is damaged (%s): %s", path, how, f.WayOut)
}

// length is how long a file is, and how long it says that it was. What is not there, is empty or belongs to another process is not
// looked at: who opens it will see.
func length(path string) (has, had int64, err error) {
	st, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && st.Size() == 0 {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	// For reading alone nothing but the header is looked at.
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Nanosecond})
	if err != nil {
		return 0, 0, nil //nolint:nilerr // see above
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.View(func(tx *bolt.Tx) error {
		had = tx.Size()
		return nil
	})
	return st.Size(), had, err
}
