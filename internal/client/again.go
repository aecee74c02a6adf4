package client

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"syscall"
	"time"
)

const (
	// againLimit is how long a hulld that has died may take to serve again.
	againLimit = 5 * time.Second
	// againTold is how long nothing is said of the wait.
	againTold = 500 * time.Millisecond
	// againEvery is how often the socket is tried: the file of a dead hulld stays, so that nothing tells of the next one.
	againEvery = 20 * time.Millisecond
)

// again tells whether a request that ended so may be made once more: hulld broke off before it answered, and to ask twice is
// to ask once.
func (r *Request) again(err error) bool {
	return r.method() == http.MethodGet && r.Body == nil && Broke(err)
}

// Broke tells whether a request ended because hulld did.
func Broke(err error) bool {
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNREFUSED, fs.ErrNotExist} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return false
}

// Back waits until a hulld serves that has died and that the keeper starts again, a few seconds at most; waiting is called
// when it takes a while.
func (c *Client) Back(ctx context.Context, waiting func()) error {
	ctx, cancel := context.WithTimeout(ctx, againLimit)
	defer cancel()
	told := time.NewTimer(againTold)
	defer told.Stop()
	next := time.NewTicker(againEvery)
	defer next.Stop()
	for {
		conn, err := c.connect(ctx)
		if err == nil {
			select {
			case c.first <- conn:
			default:
				_ = conn.Close()
			}
			return nil
		}
		select {
		case <-told.C:
			waiting()
		case <-next.C:
		case <-ctx.Done():
			return err
		}
	}
}
