package runtime

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/runtime/record"
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

func TestFate(t *testing.T) {
	exit := &keeper.Exit{}
	none, kept, lives, ended := (*keeper.Record)(nil), &keeper.Record{}, &keeper.Record{PID: 7}, &keeper.Record{PID: 7, Exit: exit}
	for _, c := range []struct {
		phase record.Phase
		state ContainerState
		kept  *keeper.Record
		want  fate
	}{
		{record.Making, ContainerCreated, none, fateNone},
		{record.Ready, ContainerCreated, none, fateClear},
		{record.Ready, ContainerCreated, kept, fateUnstart},
		{record.Ready, ContainerCreated, lives, fateUnstart}, // its process waits for a start on record
		{record.Ready, ContainerCreated, ended, fateUnstart},
		{record.Ready, ContainerRunning, lives, fateAdopt},
		{record.Ready, ContainerRunning, ended, fateAdopt},
		{record.Ready, ContainerRunning, none, fateLost},
		{record.Ready, ContainerRunning, kept, fateLost},
		{record.Ready, ContainerExited, none, fateEnded},
		{record.Ready, ContainerExited, ended, fateEnded}, // not forgotten before the crash
		{record.Ready, ContainerUnknown, none, fateEnded},
		{record.Removed, ContainerRunning, lives, fateAdopt}, // to be killed, and reaped by the keeper
		{record.Removed, ContainerCreated, none, fateClear},
		{record.Removed, ContainerExited, none, fateEnded},
	} {
		rec := &record.Container{Phase: c.phase, Status: ContainerStatus{State: c.state}}
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
