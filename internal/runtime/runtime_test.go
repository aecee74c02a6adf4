package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

func TestExit(t *testing.T) {
	for _, c := range []struct {
		status       int // as wait(2) says it
		oom          bool
		code, signal int
		reason       string
	}{
		{0 << 8, false, 0, 0, ReasonCompleted},
		{3 << 8, false, 3, 0, ReasonError},
		{255 << 8, false, 255, 0, ReasonError},
		{9, false, 137, 9, ReasonError},
		{9, true, 137, 9, ReasonOOMKilled},
		{15, false, 143, 15, ReasonError},
		{11 | 0x80, false, 139, 11, ReasonError}, // with a core
		{1 << 8, true, 1, 0, ReasonOOMKilled},    // a child was killed, and the first process said so
	} {
		code, signal := exitCode(unix.WaitStatus(c.status))
		if reason := exitReason(code, c.oom); code != c.code || signal != c.signal || reason != c.reason {
			t.Errorf("%#x, oom %t: %d, %d, %s; want %d, %d, %s", c.status, c.oom, code, signal, reason, c.code, c.signal, c.reason)
		}
	}
}

func TestIDs(t *testing.T) {
	if a, b := newID(), newID(); !validID(a) || !validID(b) || a == b {
		t.Errorf("%q, %q", a, b)
	}
	for _, bad := range []string{"", "..", "0123", "0123456789abcdef0123456789abcdeG", "0123456789abcdef0123456789abcdef0", "0123456789ABCDEF0123456789ABCDEF"} {
		if validID(bad) {
			t.Errorf("%q passes for an ID", bad)
		}
	}
}

func TestMailbox(t *testing.T) {
	m := newMailbox()
	first, second := Event{Type: ContainerEnded, ContainerID: "a"}, Event{Type: ContainerEnded, ContainerID: "b"}
	for range 1000 { // nobody reads: nobody waits, and nothing grows
		m.put(first)
		m.put(second)
	}
	if len(m.pending) != 2 {
		t.Errorf("%d events wait, of 2 things", len(m.pending))
	}
	out := make(chan Event)
	go m.run(out)
	var got []Event
	for len(got) < 2 {
		got = append(got, <-out)
	}
	if !slices.Equal(got, []Event{first, second}) {
		t.Errorf("got %v", got)
	}
	m.put(first) // once read, it may come again
	if e := <-out; e != first {
		t.Errorf("got %v", e)
	}
	m.close()
	m.close()
	m.put(second)
	for range out { // closed, whatever was still put
	}
}

func TestFate(t *testing.T) {
	exit := &keeper.Exit{}
	none, kept, lives, ended := (*keeper.Record)(nil), &keeper.Record{}, &keeper.Record{PID: 7}, &keeper.Record{PID: 7, Exit: exit}
	for _, c := range []struct {
		phase phase
		state ContainerState
		kept  *keeper.Record
		want  fate
	}{
		{phaseMaking, ContainerCreated, none, fateNone},
		{phaseReady, ContainerCreated, none, fateClear},
		{phaseReady, ContainerCreated, kept, fateUnstart},
		{phaseReady, ContainerCreated, lives, fateUnstart}, // its process waits for a start on record
		{phaseReady, ContainerCreated, ended, fateUnstart},
		{phaseReady, ContainerRunning, lives, fateAdopt},
		{phaseReady, ContainerRunning, ended, fateAdopt},
		{phaseReady, ContainerRunning, none, fateLost},
		{phaseReady, ContainerRunning, kept, fateLost},
		{phaseReady, ContainerExited, none, fateEnded},
		{phaseReady, ContainerExited, ended, fateEnded}, // not forgotten before the crash
		{phaseReady, ContainerUnknown, none, fateEnded},
		{phaseRemoved, ContainerRunning, lives, fateAdopt}, // to be killed, and reaped by the keeper
		{phaseRemoved, ContainerCreated, none, fateClear},
		{phaseRemoved, ContainerExited, none, fateEnded},
	} {
		rec := &containerRecord{Phase: c.phase, Status: ContainerStatus{State: c.state}}
		if got := fateOf(rec, c.kept); got != c.want {
			t.Errorf("%s, %s, kept %+v: %s, want %s", c.phase, c.state, c.kept, got, c.want)
		}
	}
}

func TestWitness(t *testing.T) {
	record := func(birth func(theirs *os.File)) *keeper.Record {
		theirs, ours, err := streams.Pipe(true)
		if err != nil {
			t.Fatal(err)
		}
		birth(theirs)
		return &keeper.Record{FDs: []*os.File{ours, os.Stdin}}
	}
	word := func(f *os.File) {
		if _, err := f.Write([]byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	var open *os.File
	for name, c := range map[string]struct {
		birth func(*os.File)
		ran   bool
		err   error
	}{
		"ran":               {func(f *os.File) { word(f); _ = f.Close() }, true, nil},
		"ended before":      {func(f *os.File) { _ = f.Close() }, false, nil},
		"does not end":      {func(f *os.File) { open = f }, false, os.ErrDeadlineExceeded},
		"goes on meanwhile": {func(f *os.File) { go func() { word(f); _ = f.Close() }() }, true, nil},
	} {
		k := record(c.birth)
		w := takeWitness(k)
		if len(k.FDs) != 1 {
			t.Errorf("%s: %d descriptors are left", name, len(k.FDs))
		}
		limit := time.Minute
		if c.err != nil {
			limit = time.Millisecond
		}
		for range 2 { // the hulld after the next asks again
			if ran, err := w.testify(limit); ran != c.ran || !errors.Is(err, c.err) {
				t.Errorf("%s: %t, %v", name, ran, err)
			}
		}
		w.close()
	}
	_ = open.Close()
	if _, err := takeWitness(&keeper.Record{}).testify(time.Minute); err == nil {
		t.Error("a record without a witness testifies")
	}
}

func TestRecords(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "container.json")
	read := func() (containerRecord, error) {
		var rec containerRecord
		return rec, readRecord(path, &rec, func() int { return rec.Version })
	}
	if _, err := read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no record: %v", err)
	}
	want := containerRecord{Version: recordVersion, Phase: phaseReady, Status: ContainerStatus{ID: newID(), State: ContainerRunning, PID: 7}}
	if err := writeRecord(path, &want); err != nil {
		t.Fatal(err)
	}
	if got, err := read(); err != nil || got.Status.ID != want.Status.ID || got.Phase != phaseReady || got.Status.PID != 7 {
		t.Errorf("read %+v, %v", got, err)
	}
	want.Version = recordVersion + 1
	if err := writeRecord(path, &want); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err == nil {
		t.Error("a newer hulld's record is read")
	}
	if err := os.WriteFile(path, []byte(`{"Version":1,"Pha`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); err == nil {
		t.Error("half a record is read")
	}
	id := newID()
	for _, name := range []string{id, "not-an-id"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if ids, err := recordDirs(dir); err != nil || !slices.Equal(ids, []string{id}) {
		t.Errorf("%q, %v", ids, err)
	}
	if ids, err := recordDirs(filepath.Join(dir, "none")); err != nil || ids != nil {
		t.Errorf("%q, %v", ids, err)
	}
}
