package undo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	"github.com/hull-pods/hull/internal/failpoint"
)

var fpUndo = failpoint.New("undo.test")

func sequence(ctx context.Context, fail bool, log *[]string) (err error) {
	var back Stack
	defer back.Run(ctx, &err)
	for _, n := range []string{"a", "b"} {
		if err := back.Push(fpUndo, n, func(ctx context.Context) error {
			*log = append(*log, n)
			return ctx.Err()
		}); err != nil {
			return err
		}
	}
	if fail {
		return errors.New("broken")
	}
	back.Release()
	return nil
}

func TestRunReversesOnFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // an undo must work although the request has gone
	var log []string
	if err := sequence(ctx, true, &log); err == nil || err.Error() != "broken" {
		t.Fatalf("error %v, want only the cause", err)
	}
	if !slices.Equal(log, []string{"b", "a"}) {
		t.Errorf("undone %v", log)
	}
}

func TestReleaseDisarms(t *testing.T) {
	var log []string
	if err := sequence(t.Context(), false, &log); err != nil || log != nil {
		t.Fatalf("err %v, undone %v", err, log)
	}
}

func TestFailpointUndoesItsOwnStep(t *testing.T) {
	t.Cleanup(func() { _ = failpoint.Set("") })
	if err := failpoint.Set("undo.test=error"); err != nil {
		t.Fatal(err)
	}
	var log []string
	if err := sequence(t.Context(), false, &log); !errors.Is(err, failpoint.ErrInjected) {
		t.Fatalf("error %v", err)
	}
	if !slices.Equal(log, []string{"a"}) {
		t.Errorf("undone %v", log)
	}
}

// TestScarce: an undo that has no descriptor to work with is done when there is one.
func TestScarce(t *testing.T) {
	tries, err := 0, errors.New("the step")
	var back Stack
	if perr := back.Push(fpUndo, "remove it", func(context.Context) error {
		if tries++; tries < 3 {
			return fmt.Errorf("open it: %w", syscall.EMFILE)
		}
		return nil
	}); perr != nil {
		t.Fatal(perr)
	}
	back.Run(t.Context(), &err)
	if tries != 3 || err.Error() != "the step" {
		t.Errorf("after %d tries: %v", tries, err)
	}
}
