package stream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
)

// hijacker is a ResponseWriter that notices when the client of a hijacked connection goes away. The server does not watch a
// connection that it has given out, so without this a command whose client was killed would run for ever.
type hijacker struct {
	http.ResponseWriter
	gone func()
}

// Hijack gives out the connection. Whoever reads it, reads through it.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	// What the server has read ahead comes first.
	ahead, err := buf.Reader.Peek(buf.Reader.Buffered())
	if err != nil {
		return nil, nil, err
	}
	c := &watchedConn{Conn: conn, in: io.MultiReader(bytes.NewReader(bytes.Clone(ahead)), conn), gone: h.gone}
	if err := c.watch(); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// Flush is what some upgraders ask for.
func (h *hijacker) Flush() { _ = http.NewResponseController(h.ResponseWriter).Flush() }

type watchedConn struct {
	net.Conn
	in      io.Reader
	gone    func()
	watcher io.Closer // nil where the end is noticed by reading alone
}

// watch notices the client's end also while nobody reads: what it sent before, and a command takes no notice of, stands in
// the way of the end of file. It has a descriptor of its own, as a connection has one reader at a time.
func (c *watchedConn) watch() error {
	conn, ok := c.Conn.(*net.UnixConn)
	if !ok {
		return nil
	}
	f, err := conn.File()
	if err != nil {
		return err
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	c.watcher = f
	go func() {
		if raw.Read(peerGone) == nil {
			c.gone()
			// A protocol that cannot say goodbye any more may leave its connection open.
			_ = c.Conn.Close()
		}
		_ = f.Close() // the watch is over, whoever ended it
	}()
	return nil
}

// peerGone tells whether the other end of a unix socket is closed: then not even nothing can be sent. Whatever comes wakes the
// caller to ask again.
func peerGone(fd uintptr) bool {
	_, err := syscall.SendmsgN(int(fd), nil, nil, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
	return errors.Is(err, syscall.EPIPE)
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	if err != nil {
		c.gone()
	}
	return n, err
}

// Close is also what a protocol does that the client has ended with a word.
func (c *watchedConn) Close() error {
	c.gone()
	if c.watcher != nil {
		_ = c.watcher.Close()
	}
	return c.Conn.Close()
}
