package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"

	"golang.org/x/net/websocket"
)

// Channels of the subprotocol v5.channel.k8s.io: each message begins with the number of its channel. A close message names
// a channel that gets no more.
const (
	channelStdin  = 0
	channelStdout = 1
	channelStderr = 2
	channelError  = 3
	channelResize = 4
	channelClose  = 255

	subprotocol = "v5.channel.k8s.io"
)

// Size of a terminal, in characters.
type Size struct {
	Width, Height uint16
}

// ExecOptions are the ends of an exec or attach session. Nil ends are not connected.
type ExecOptions struct {
	Path           string // ".../pods/NAME/exec" or ".../attach"
	Container      string
	Default        string // for exec, what of several containers the server may choose by itself: see DefaultTold
	Command        []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	TTY            bool
	Resize         <-chan Size
}

// The server chooses a container where none is named, and says on standard error which, or says nothing.
const (
	DefaultTold  = "told"
	DefaultQuiet = "quiet"
)

// ExitError is a command that ended with another code than 0.
type ExitError struct{ Code int }

// Error is kubectl's sentence.
func (e *ExitError) Error() string {
	return fmt.Sprintf("command terminated with exit code %d", e.Code)
}

// Exec runs a command in a container and carries its streams until it has ended: nil for exit code 0, *ExitError for
// another one.
func (c *Client) Exec(ctx context.Context, o ExecOptions) error {
	conn, raw, err := c.dialExec(ctx, o)
	if err != nil {
		return err
	}
	s := &execSession{conn: conn}
	// The connection ends as it is: the server, which says how the command ended, has no use for a farewell.
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	defer func() { _ = raw.Close() }()
	if o.Stdin != nil {
		// A read from a terminal cannot be cut short: this goroutine ends with the process.
		go s.sendStdin(o.Stdin)
	}
	if o.Resize != nil {
		go s.sendSizes(ctx, o.Resize)
	}
	err = s.receive(o.Stdout, o.Stderr)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (c *Client) dialExec(ctx context.Context, o ExecOptions) (conn *websocket.Conn, raw net.Conn, err error) {
	q := url.Values{"command": o.Command}
	if o.Container != "" {
		q.Set("container", o.Container)
	}
	if o.Default != "" {
		q.Set("defaultContainer", o.Default)
	}
	for name, on := range map[string]bool{"stdin": o.Stdin != nil, "stdout": o.Stdout != nil, "stderr": o.Stderr != nil && !o.TTY, "tty": o.TTY} {
		if on {
			q.Set(name, "true")
		}
	}
	if err := checkPath(o.Path); err != nil {
		return nil, nil, fmt.Errorf("exec: %w", err)
	}
	cfg, err := websocket.NewConfig("ws://hull"+o.Path+"?"+q.Encode(), "http://hull")
	if err != nil {
		return nil, nil, fmt.Errorf("exec: %w", err)
	}
	cfg.Protocol = []string{subprotocol}
	raw, err = c.connect(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("talk to hulld at %s: %w", c.socket, err)
	}
	conn, err = websocket.NewClient(cfg, raw)
	if err == nil {
		conn.PayloadType = websocket.BinaryFrame
		return conn, raw, nil
	}
	_ = raw.Close()
	if errors.Is(err, websocket.ErrBadStatus) {
		// The handshake's error hides what the server said: the same call without an upgrade tells it.
		if _, serr := c.Stream(ctx, Request{Path: o.Path, Query: q}); serr != nil {
			return nil, nil, serr
		}
	}
	return nil, nil, fmt.Errorf("exec: upgrade the connection to a WebSocket: %w", err)
}

type execSession struct {
	conn *websocket.Conn
	mu   sync.Mutex // one message at a time
}

func (s *execSession) send(msg []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return websocket.Message.Send(s.conn, msg)
}

func (s *execSession) sendStdin(r io.Reader) {
	buf := make([]byte, 32<<10)
	buf[0] = channelStdin
	for {
		n, err := r.Read(buf[1:])
		if n > 0 && s.send(buf[:n+1]) != nil {
			return
		}
		if err != nil {
			_ = s.send([]byte{channelClose, channelStdin})
			return
		}
	}
}

func (s *execSession) sendSizes(ctx context.Context, sizes <-chan Size) {
	for {
		select {
		case <-ctx.Done():
			return
		case size, ok := <-sizes:
			if !ok {
				return
			}
			data, err := json.Marshal(size)
			if err != nil || s.send(append([]byte{channelResize}, data...)) != nil {
				return
			}
		}
	}
}

func (s *execSession) receive(stdout, stderr io.Writer) error {
	for {
		var msg []byte
		if err := websocket.Message.Receive(s.conn, &msg); err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("the connection to hulld ended before the command did")
			}
			return fmt.Errorf("exec: %w", err)
		}
		if len(msg) == 0 {
			continue
		}
		var err error
		switch msg[0] {
		case channelStdout:
			err = write(stdout, msg[1:])
		case channelStderr:
			err = write(stderr, msg[1:])
		case channelError:
			return readExit(msg[1:])
		}
		if err != nil {
			return err
		}
	}
}

func write(w io.Writer, data []byte) error {
	if w == nil || len(data) == 0 {
		return nil
	}
	_, err := w.Write(data)
	return err
}

// readExit turns the metav1.Status of channel 3 into an error.
func readExit(data []byte) error {
	var st struct {
		Status  string `json:"status"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
		Details struct {
			Causes []struct {
				Reason  string `json:"reason"`
				Message string `json:"message"`
			} `json:"causes"`
		} `json:"details"`
	}
	if err := json.Unmarshal(data, &st); err != nil {
		return fmt.Errorf("decode how the command ended: %w", err)
	}
	if st.Status == "Success" {
		return nil
	}
	for _, cause := range st.Details.Causes {
		if cause.Reason == "ExitCode" {
			if code, err := strconv.Atoi(cause.Message); err == nil {
				return &ExitError{Code: code}
			}
		}
	}
	return errors.New(st.Message)
}
