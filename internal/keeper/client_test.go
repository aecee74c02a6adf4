package keeper

import (
	"context"
	"errors"
	"os"
	"testing"
)

// TestGivenUpAsTheAnswerComes is about descriptors: of two ends that have come, select takes either.
func TestGivenUpAsTheAnswerComes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		asked := &call{what: "list", seq: 1, done: make(chan struct{})}
		c := &Client{calls: map[uint64]*call{1: asked}, done: make(chan struct{})}
		record := message{kind: kindRecord, seq: 1, keys: []string{"c1"}}
		done := message{kind: kindDone, seq: 1}
		if err := errors.Join(c.handle(record.encode(nil), []*os.File{f}), c.handle(done.encode(nil), nil)); err != nil {
			t.Fatal(err)
		}
		got, err := c.answer(ctx, asked)
		if err == nil {
			closeRecords(got)
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Fatal("nobody closed a descriptor that nobody waits for")
		}
	}
}
