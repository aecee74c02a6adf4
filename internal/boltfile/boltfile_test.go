package boltfile

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
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
