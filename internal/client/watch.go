package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
)

// Event is one line of a watch.
type Event struct {
	Type   string          `json:"type"` // ADDED, MODIFIED, DELETED, BOOKMARK
	Object json.RawMessage `json:"object"`
}

// ErrStop ends a watch from within its callback, without an error.
var ErrStop = errors.New("stop watching")

// Watch calls each for every event until the context ends, the server closes the watch (nil), or each returns an error.
// An ERROR event is returned as a *StatusError.
func (c *Client) Watch(ctx context.Context, r Request, each func(Event) error) error {
	if r.Query == nil {
		r.Query = url.Values{}
	}
	r.Query.Set("watch", "true")
	body, err := c.Stream(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	lines := json.NewDecoder(body)
	for {
		var e Event
		if err := lines.Decode(&e); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("watch %s: %w", r.Path, err)
		}
		if e.Type == "ERROR" {
			s := &StatusError{}
			if err := json.Unmarshal(e.Object, s); err != nil {
				return fmt.Errorf("watch %s: decode an error: %w", r.Path, err)
			}
			return s
		}
		if err := each(e); err != nil {
			if errors.Is(err, ErrStop) {
				return nil
			}
			return err
		}
	}
}
