package client

import (
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// broken is a client of a hulld that takes one request and is killed before it answers; next is what happens then.
func broken(t *testing.T, next func(socket string)) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "hull.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false) // as a process that is killed leaves it
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute)) // of a test that sends nothing
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Error(err)
		}
		_ = l.Close()
		_ = conn.Close() // with bytes that nobody has read: ECONNRESET
		next(socket)
	}()
	t.Cleanup(func() { <-done })
	c, err := Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAgain(t *testing.T) {
	t.Run("get", func(t *testing.T) {
		told := make(chan struct{})
		c := broken(t, func(socket string) {
			<-told // it lasts
			_ = syscall.Unlink(socket)
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Error(err)
				return
			}
			s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"a":1}`)) })}
			go func() { _ = s.Serve(l) }()
			t.Cleanup(func() { _ = s.Close() })
		})
		c.Waiting = func() { close(told) }
		var got struct{ A int }
		if err := c.Do(t.Context(), Request{Path: "/x"}, &got); err != nil || got.A != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	for name, r := range map[string]Request{"post": {Method: "POST", Path: "/x"}, "delete": {Method: "DELETE", Path: "/x"}} {
		t.Run(name, func(t *testing.T) {
			c := broken(t, func(string) {})
			c.Waiting = func() { t.Error("it waits") }
			if err := c.Do(t.Context(), r, nil); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("nobody waits", func(t *testing.T) {
		c := broken(t, func(string) {})
		if err := c.Do(t.Context(), Request{Path: "/x"}, nil); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v", err)
		}
	})
}
