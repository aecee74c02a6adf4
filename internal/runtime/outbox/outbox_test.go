package outbox

import (
	"slices"
	"testing"
)

func TestOutbox(t *testing.T) {
	var o Outbox[string, string]
	o.Put("reader", "lost: nobody reads")
	out := o.Open("reader")
	for range 1000 { // nobody reads: nobody waits, and nothing grows
		o.Put("reader", "a")
		o.Put("reader", "b")
	}
	var got []string
	for len(got) < 2 {
		got = append(got, <-out)
	}
	// The first may have been taken before it was put again.
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v", got)
	}
	second := o.Open("reader")
	for range out { // closes, whatever is still in it
	}
	o.Put("reader", "c")
	if e := <-second; e != "c" {
		t.Errorf("got %v", e)
	}
	o.Put("reader", "d")
	o.Close()
	for range second {
	}
	o.Put("reader", "e")
	for range o.Open("reader") {
		t.Error("an event of a closed outbox")
	}
}

func TestBoxDoesNotGrow(t *testing.T) {
	b := newBox[string]()
	for range 1000 {
		b.put("a")
		b.put("b")
	}
	if len(b.pending) != 2 {
		t.Errorf("%d events wait, of 2 things", len(b.pending))
	}
	if got := b.take(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %v", got)
	}
	b.put("a") // once read, it may come again
	if got := b.take(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("got %v", got)
	}
	b.close()
	b.close()
}
