package stream

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestGoneClientsConnection: the connection of a client that has left is closed, also by a handler that forgets it.
func TestGoneClientsConnection(t *testing.T) {
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	hijacked := make(chan net.Conn, 1)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := (&hijacker{w, func() {}}).Hijack()
		if err != nil {
			t.Error(err)
		}
		hijacked <- c
	})}
	defer func() { _ = s.Close() }()
	go func() { _ = s.Serve(l) }()
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	c := <-hijacked
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	for t.Context().Err() == nil {
		if err := c.SetDeadline(time.Time{}); errors.Is(err, net.ErrClosed) {
			return
		}
		runtime.Gosched()
	}
	t.Error("the connection is open")
}
