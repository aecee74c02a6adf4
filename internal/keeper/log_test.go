package keeper

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLargeLogIsMovedAside(t *testing.T) {
	w := newWorld(t)
	if err := os.MkdirAll(w.state(), 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(w.state(), DaemonLog)
	if err := os.WriteFile(log, make([]byte, logMost+1), 0o600); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := Detach(t.Context(), w.exe, w.state(), w.args(), append(os.Environ(), envRole+"=keeper"))
		done <- err
	}()
	h := w.next()
	h.do(order{Do: "ready"})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(log); err != nil || st.Size() == 0 || st.Size() > logMost {
		t.Errorf("%v, %v", st, err)
	}
	if st, err := os.Stat(log + ".1"); err != nil || st.Size() != logMost+1 {
		t.Errorf("%v, %v", st, err)
	}
	a, err := ask(t.Context(), w.state(), Request{Do: "stop"})
	if err != nil {
		t.Fatal(err)
	}
	w.reap(a.Keeper.PID)
}
