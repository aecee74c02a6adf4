package pod

import (
	"testing"
	"time"
)

// TestInbox: the worker is woken once for whatever comes until it has seen that there is nothing left, and never when it rests for good.
func TestInbox(t *testing.T) {
	woken := 0
	i := inbox{wake: func() { woken++ }, timer: time.NewTimer(time.Hour)}
	expect := func(what string, want int) {
		t.Helper()
		if woken != want {
			t.Errorf("%s: woken %d times, want %d", what, woken, want)
		}
	}
	i.look()
	i.put(nil, true)
	expect("two things came", 1)
	if m, ok := i.take(); !ok || !m.gone {
		t.Errorf("it took %+v, %t", m, ok)
	}
	i.result(result{})
	expect("something came while it was awake", 1)
	if m, ok := i.take(); !ok || len(m.results) != 1 || m.gone {
		t.Errorf("it took %+v, %t", m, ok)
	}
	if _, ok := i.take(); ok {
		t.Error("there was nothing to take")
	}
	i.look()
	expect("something came while it slept", 2)
	i.close()
	if _, ok := i.take(); ok {
		t.Error("it took something after it was closed")
	}
	i.look()
	expect("something came after it was closed", 2)
}
