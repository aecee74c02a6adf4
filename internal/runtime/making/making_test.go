package making_test

import (
	"testing"
	"testing/synctest"

	"github.com/hull-pods/hull/internal/runtime/making"
)

// TestFailed: who is inside hears of the failure, which waits until they have left; nobody enters any more.
func TestFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := making.Begun()
		leave, err := m.Enter()
		if err != nil {
			t.Fatal(err)
		}
		heard, left := make(chan error, 1), make(chan struct{})
		go func() { heard <- m.Await() }()
		go func() {
			m.End(true)
			close(left)
		}()
		synctest.Wait()
		if err := <-heard; err == nil {
			t.Error("who waits does not hear of the failure")
		}
		select {
		case <-left:
			t.Error("it ends with somebody inside")
		default:
		}
		if _, err := m.Enter(); err == nil {
			t.Error("somebody enters what has failed")
		}
		leave()
		<-left
	})
}

// TestMade: what goes well waits for nobody, and nobody waits for it afterwards.
func TestMade(t *testing.T) {
	m := making.Begun()
	if _, err := m.Enter(); err != nil {
		t.Fatal(err)
	}
	m.End(false)
	for _, m := range []*making.Making{m, making.Done()} {
		if err := m.Await(); err != nil {
			t.Error(err)
		}
		leave, err := m.Enter()
		if err != nil {
			t.Fatal(err)
		}
		leave()
	}
}
