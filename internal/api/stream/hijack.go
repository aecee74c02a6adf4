package stream

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
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
	return c, bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c)), nil
}

// Flush is what some upgraders ask for.
func (h *hijacker) Flush() { _ = http.NewResponseController(h.ResponseWriter).Flush() }

type watchedConn struct {
	net.Conn
	in   io.Reader
	gone func()
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
	return c.Conn.Close()
}
