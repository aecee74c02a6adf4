package fate

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

func TestFate(t *testing.T) {
	exit := &keeper.Exit{}
	none, kept, lives, ended := (*keeper.Record)(nil), &keeper.Record{}, &keeper.Record{PID: 7}, &keeper.Record{PID: 7, Exit: exit}
	for _, c := range []struct {
		phase record.Phase
		state record.ContainerState
		kept  *keeper.Record
		want  Fate
	}{
		{record.Making, record.ContainerCreated, none, None},
		{record.Ready, record.ContainerCreated, none, Clear},
		{record.Ready, record.ContainerCreated, kept, Unstart},
		{record.Ready, record.ContainerCreated, lives, Unstart}, // its process waits for a start on record
		{record.Ready, record.ContainerCreated, ended, Unstart},
		{record.Ready, record.ContainerRunning, lives, Adopt},
		{record.Ready, record.ContainerRunning, ended, Adopt},
		{record.Ready, record.ContainerRunning, none, Lost},
		{record.Ready, record.ContainerRunning, kept, Unstart}, // in a shared PID namespace it waits to be known
		{record.Ready, record.ContainerExited, none, Ended},
		{record.Ready, record.ContainerExited, ended, Ended}, // not forgotten before the crash
		{record.Ready, record.ContainerUnknown, none, Ended},
		{record.Removed, record.ContainerRunning, lives, Adopt}, // to be killed, and reaped by the keeper
		{record.Removed, record.ContainerCreated, none, Clear},
		{record.Removed, record.ContainerExited, none, Ended},
	} {
		rec := &record.Container{Phase: c.phase, Status: record.ContainerStatus{State: c.state}}
		if got := Of(rec, c.kept); got != c.want {
			t.Errorf("%s, %s, kept %+v: %s, want %s", c.phase, c.state, c.kept, got, c.want)
		}
	}
}

func TestWitness(t *testing.T) {
	kept := func(birth func(theirs *os.File)) *keeper.Record {
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
		k := kept(c.birth)
		w := TakeWitness(k)
		if len(k.FDs) != 1 {
			t.Errorf("%s: %d descriptors are left", name, len(k.FDs))
		}
		limit := time.Minute
		if c.err != nil {
			limit = time.Millisecond
		}
		for range 2 { // the hulld after the next asks again
			if ran, err := w.Testify(limit); ran != c.ran || !errors.Is(err, c.err) {
				t.Errorf("%s: %t, %v", name, ran, err)
			}
		}
		w.Close()
	}
	_ = open.Close()
	if _, err := TakeWitness(&keeper.Record{}).Testify(time.Minute); err == nil {
		t.Error("a record without a witness testifies")
	}
}
