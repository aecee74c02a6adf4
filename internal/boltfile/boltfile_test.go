package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/hull-pods/hull/internal/hulltest"
)

// fill makes a database of many pages.
func fill(t *testing.T, path string) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		b, err := tx.CreateBucket([]byte("b"))
		for i := range 200 {
			err = errors.Join(err, b.Put(fmt.Append(nil, i), bytes.Repeat([]byte("x"), 1000)))
		}
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpen(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(path string) error
		says   string // "" is nothing
	}{
		"whole":  {func(string) error { return nil }, ""},
		"none":   {os.Remove, ""},
		"empty":  {func(path string) error { return os.Truncate(path, 0) }, ""},
		"half":   {func(path string) error { return os.Truncate(path, 65536) }, "is damaged (it has 65536 bytes, and had "},
		"header": {func(path string) error { return os.Truncate(path, 8192) }, "is damaged ("},
		"held": {func(path string) error {
			db, err := bolt.Open(path, 0o600, nil)
			t.Cleanup(func() { _ = db.Close() })
			return err
		}, ""},
	} {
		path := filepath.Join(t.TempDir(), "a.db")
		fill(t, path)
		if err := c.damage(path); err != nil {
			t.Fatal(err)
		}
		opened := false
		err := Files{[]string{path + "not", path}, "pray", slog.Default()}.Open(func() error {
			opened = true
			return nil
		})
		switch {
		case c.says == "" && (err != nil || !opened):
			t.Errorf("%s: %v", name, err)
		case c.says != "" && (err == nil || opened || !strings.Contains(err.Error(), path+" "+c.says) || !strings.HasSuffix(err.Error(), ": pray")):
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPanic(t *testing.T) {
	err := Files{[]string{"/nowhere/a.db"}, "pray", slog.Default()}.Open(func() error { panic("invalid page") })
	if err == nil || err.Error() != "/nowhere/a.db is damaged (invalid page): pray" {
		t.Errorf("%v", err)
	}
}

func TestMake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	// What was made before the power failed is in nobody's way.
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.WriteFile(path+".new", []byte("half"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := Make(path); err != nil {
		t.Fatal(err)
	}
	if has, had, err := length(path); err != nil || has == 0 || has != had {
		t.Errorf("it has %d bytes, and says %d: %v", has, had, err)
	}
	fill(t, path)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Make(path); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("what was there is not any more: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// A disk that is full at any of the pages of a new database has none of it, and has it when there is room.
func TestMakeOnFullDisk(t *testing.T) {
	hulltest.NeedRoot(t)
	dir := t.TempDir()
	if err := syscall.Mount("hull-boltfile-test", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path, other := filepath.Join(dir, "a.db"), filepath.Join(dir, "other")
	for pages := range 4 {
		if err := os.WriteFile(other, make([]byte, (4-pages)*os.Getpagesize()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Make(path); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("with %d pages: %v", pages, err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("with %d pages: %v, %v", pages, entries, err)
		}
		if err := os.Remove(other); err != nil {
			t.Fatal(err)
		}
	}
	if err := Make(path); err != nil {
		t.Error(err)
	}
}
