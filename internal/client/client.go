// Package client speaks to one hulld over its unix socket: Kubernetes REST, watches, logs, exec, and Hull's own verbs.
//
// It knows no Kubernetes type: objects are JSON as the server wrote it, decoded into what the caller asks for. That keeps
// the CLI small and its start fast.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// Client is a connection pool to one hulld. It is safe for concurrent use.
type Client struct {
	socket string
	http   *http.Client
	first  chan net.Conn // what Dial has made, until a request takes it

	// Warn, when set, is told what the server warns of, each thing once.
	Warn   func(text string)
	warned sync.Map

	// Waiting, when set, lets a GET that hulld died of, or with, wait for the next hulld and be made once more. It is called
	// when that takes a while.
	Waiting func()
}

// New does not connect yet.
func New(socket string) *Client {
	c := &Client{socket: socket, first: make(chan net.Conn, 1)}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return c.connect(ctx) }
	c.http = &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 16}}
	return c
}

// Dial connects at once, so that the caller knows whether anybody listens. The first request goes over that connection.
func Dial(ctx context.Context, socket string) (*Client, error) {
	c := New(socket)
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	c.first <- conn
	return c, nil
}

func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	select {
	case conn := <-c.first:
		return conn, nil
	default:
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.socket)
	}
}

// Request is one call of the API.
type Request struct {
	Method string // "" is GET
	Path   string // "/api/v1/namespaces/default/pods"
	Query  url.Values
	Body   any    // an io.Reader, []byte, or a value to encode as JSON
	Type   string // of Body; "" is application/json
	Accept string // "" is application/json
}

// Table is what to accept to get kubectl's columns from the server.
const Table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// StatusError is the server's refusal, a metav1.Status. Its text is what kubectl prints.
type StatusError struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Details struct {
		Name   string `json:"name"`
		Kind   string `json:"kind"`
		Causes []struct {
			Reason, Message, Field string
		} `json:"causes"`
	} `json:"details"`
}

// Error is "Error from server (NotFound): pods \"x\" not found", as kubectl says it, but for an invalid object, whose
// message says what it is.
func (e *StatusError) Error() string {
	switch e.Reason {
	case "Invalid":
		return e.invalid()
	case "":
		return "Error from server: " + e.Message
	default:
		return fmt.Sprintf("Error from server (%s): %s", e.Reason, e.Message)
	}
}

// invalid lists the faults of an object one a line when there are several.
func (e *StatusError) invalid() string {
	if len(e.Details.Causes) < 2 {
		return "The " + e.Message
	}
	var b strings.Builder
	fmt.Fprintf(&b, "The %s %q is invalid: ", e.Details.Kind, e.Details.Name)
	for _, c := range e.Details.Causes {
		fmt.Fprintf(&b, "\n* %s: %s", c.Field, c.Message)
	}
	return b.String()
}

// Explain says which file an object came from that the server refused, as kubectl does; of an invalid object it lists the faults alone.
func Explain(doing, source string, err error) error {
	var s *StatusError
	if !errors.As(err, &s) {
		return fmt.Errorf("error when %s %q: %w", doing, source, err)
	}
	told := *s
	told.Message = fmt.Sprintf("error when %s %q: %s", doing, source, s.Message)
	if s.Reason == "Invalid" {
		told.Message = s.Message
	}
	return &told
}

// IsNotFound tells whether the server said that a thing does not exist.
func IsNotFound(err error) bool { return hasReason(err, "NotFound") }

// IsConflict tells whether an update met a newer version of the object.
func IsConflict(err error) bool { return hasReason(err, "Conflict") }

func hasReason(err error, reason string) bool {
	var s *StatusError
	return errors.As(err, &s) && s.Reason == reason
}

// Do carries out a request and decodes the answer into out unless that is nil.
func (c *Client) Do(ctx context.Context, r Request, out any) error {
	body, err := c.Stream(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	if out == nil {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	if raw, ok := out.(*[]byte); ok {
		*raw, err = io.ReadAll(body)
		return err
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("decode the answer to %s %s: %w", r.method(), r.Path, err)
	}
	return nil
}

// Stream carries out a request and returns the answer's body, which may go on for as long as the server likes.
func (c *Client) Stream(ctx context.Context, r Request) (io.ReadCloser, error) {
	req, err := r.build(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil && c.Waiting != nil && ctx.Err() == nil && r.again(err) && c.Back(ctx, c.Waiting) == nil {
		resp, err = c.http.Do(req) // it has no body that could be used up
	}
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, fmt.Errorf("talk to hulld at %s: %w", c.socket, err)
	}
	c.warn(resp.Header.Values("Warning"))
	if resp.StatusCode >= 400 {
		defer func() { _ = resp.Body.Close() }()
		return nil, readStatus(resp)
	}
	return resp.Body, nil
}

// warn passes on the warnings of an answer: 299 - "text".
func (c *Client) warn(headers []string) {
	for _, header := range headers {
		quoted, ok := strings.CutPrefix(header, "299 - ")
		text, err := strconv.Unquote(quoted)
		if _, again := c.warned.LoadOrStore(header, true); ok && err == nil && !again && c.Warn != nil {
			c.Warn(text)
		}
	}
}

func (r *Request) method() string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

func (r *Request) build(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	switch b := r.Body.(type) {
	case nil:
	case io.Reader:
		body = b
	case []byte:
		body = bytes.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("encode the body of %s %s: %w", r.method(), r.Path, err)
		}
		body = bytes.NewReader(data)
	}
	if err := checkPath(r.Path); err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method(), r.Path, err)
	}
	u := url.URL{Scheme: "http", Host: "hull", Path: r.Path, RawQuery: r.Query.Encode()}
	req, err := http.NewRequestWithContext(ctx, r.method(), u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method(), r.Path, err)
	}
	accept, kind := r.Accept, r.Type
	if accept == "" {
		accept = "application/json"
	}
	if kind == "" {
		kind = "application/json"
	}
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	return req, nil
}

// checkPath refuses a path that names something else than it seems to: with an empty name in it, or one that leads up. A Pod
// without a name would be all Pods.
func checkPath(path string) error {
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("%q is no name", segment)
		}
	}
	return nil
}

// errorLimit bounds what is read of an error's body.
const errorLimit = 1 << 20

func readStatus(resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, errorLimit))
	if err != nil {
		return fmt.Errorf("read the server's error %s: %w", resp.Status, err)
	}
	s := &StatusError{}
	if json.Unmarshal(data, s) != nil || s.Message == "" {
		s.Message = strings.TrimSpace(string(data))
	}
	s.Code = resp.StatusCode
	return s
}
