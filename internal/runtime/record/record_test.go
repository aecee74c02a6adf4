package record

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
)

func TestIDs(t *testing.T) {
	if a, b := NewID(), NewID(); !validID(a) || !validID(b) || a == b {
		t.Errorf("%q, %q", a, b)
	}
	for _, bad := range []string{"", "..", "0123", "0123456789abcdef0123456789abcdeG", "0123456789abcdef0123456789abcdef0", "0123456789ABCDEF0123456789ABCDEF"} {
		if validID(bad) {
			t.Errorf("%q passes for an ID", bad)
		}
	}
}

func TestRecords(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "container.json")
	read := func() (Container, error) {
		var rec Container
		return rec, Read(path, &rec)
	}
	if _, err := read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no record: %v", err)
	}
	want := Container{Version: Version, Phase: Ready, Status: ContainerStatus{ID: NewID(), State: ContainerRunning, PID: 7}}
	if err := Write(path, &want); err != nil {
		t.Fatal(err)
	}
	if got, err := read(); err != nil || got.Status.ID != want.Status.ID || got.Phase != Ready || got.Status.PID != 7 {
		t.Errorf("read %+v, %v", got, err)
	}
	want.Version = Version + 1
	if err := Write(path, &want); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err == nil {
		t.Error("a newer hulld's record is read")
	}
	for text, lost := range map[string]bool{
		`{"Version":1,"Pha`: true, "": true, "{}": true, "null": true, "\x00\x00\x00": true, `{"Version":1,"Phase":7}`: true,
		`{"Version":2,"Phase":7}`: false, // whatever a phase may be one day
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(); err == nil || errdefs.IsDataLoss(err) != lost || (Unread(err, slog.New(slog.DiscardHandler)) == nil) != lost {
			t.Errorf("record %q: %v", text, err)
		}
	}
	id := NewID()
	for _, name := range []string{id, "not-an-id"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if ids, err := IDs(dir); err != nil || !slices.Equal(ids, []string{id}) {
		t.Errorf("%q, %v", ids, err)
	}
	if ids, err := IDs(filepath.Join(dir, "none")); err != nil || ids != nil {
		t.Errorf("%q, %v", ids, err)
	}
}
