package failpoint

import (
	"errors"
	"slices"
	"testing"
)

var fpTest = New("failpoint.test")

func TestHit(t *testing.T) {
	t.Cleanup(func() { _ = Set("") })
	if err := fpTest.Hit(); err != nil {
		t.Fatalf("an unset point returned %v", err)
	}
	if err := Set("failpoint.test=error@2"); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, false} {
		if err := fpTest.Hit(); errors.Is(err, ErrInjected) != want {
			t.Errorf("hit %d: %v, want an injected error: %v", i+1, err, want)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	for _, spec := range []string{"nosuch=error", "failpoint.test", "failpoint.test=panic", "failpoint.test=error@0", "failpoint.test=kill@x"} {
		if err := Set(spec); err == nil {
			t.Errorf("Set(%q) accepted it", spec)
		}
	}
}

func TestAll(t *testing.T) {
	if !slices.Contains(All(), "failpoint.test") {
		t.Errorf("All() = %v", All())
	}
}
