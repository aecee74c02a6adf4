package pod

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
)

// TestSlots: who is nearest to the end comes first, then who came first; who gives up waiting takes nobody's place.
func TestSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := slots{free: 1}
		release, err := s.take(t.Context(), beginning)
		if err != nil {
			t.Fatal(err)
		}
		var came []string
		wait := func(ctx context.Context, name string, at stage) {
			go func() {
				release, err := s.take(ctx, at)
				if err != nil {
					came = append(came, name+" gave up")
					return
				}
				came = append(came, name)
				release()
			}()
			synctest.Wait()
		}
		patience, cancel := context.WithCancel(t.Context())
		wait(t.Context(), "sandbox 1", beginning)
		wait(t.Context(), "sandbox 2", beginning)
		wait(t.Context(), "create", creating)
		wait(patience, "start 1", starting)
		wait(t.Context(), "start 2", starting)
		cancel()
		synctest.Wait()
		release()
		synctest.Wait()
		if want := []string{"start 1 gave up", "start 2", "create", "sandbox 1", "sandbox 2"}; !slices.Equal(came, want) {
			t.Errorf("%q, want %q", came, want)
		}
		if s.free != 1 {
			t.Errorf("%d slots are free", s.free)
		}
	})
}

// TestSlotsGivenUpInTime: a turn that comes in the moment in which nobody waits for it any more is passed on.
func TestSlotsGivenUpInTime(t *testing.T) {
	s := slots{free: 1}
	for range 1000 {
		release, err := s.take(t.Context(), starting)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			release, err := s.take(ctx, starting)
			if err == nil {
				release()
			}
			done <- err
		}()
		go cancel()
		release()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if s.free != 1 {
		t.Errorf("%d slots are free", s.free)
	}
}
