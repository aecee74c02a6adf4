// Package stream upgrades a request to a session of streams: SPDY, and the WebSocket protocols that kubectl and the kubelet's
// clients speak. What runs at the other end of the streams is a function of the caller's.
package stream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/klog/v2"

	"github.com/hull-pods/hull/internal/runtime"
)

const (
	idleTimeout   = 4 * time.Hour // as the kubelet's
	streamTimeout = 30 * time.Second
)

// The ends that a client holds of a session are what the runtime connects.
type (
	Size    = runtime.Size
	Streams = runtime.Streams
)

// Ends says which streams a client has. With a terminal there is no stderr of its own.
type Ends struct{ Stdin, Stdout, Stderr, TTY bool }

// Session is what happens at the other end. Its error is the client's last word: nil for success, an [exec.CodeExitError]
// for a command that ended with a code, anything else for a failure of ours.
type Session func(ctx context.Context, st Streams) error

// Verb is what a session is called in errors.
type Verb string

// The verbs.
const (
	Exec   Verb = "error executing command in container"
	Attach Verb = "error attaching to container"
)

// Serve upgrades the connection and lets run have its streams. When the client goes, the context ends.
func Serve(w http.ResponseWriter, r *http.Request, log *slog.Logger, verb Verb, ends Ends, run Session) {
	// What the libraries have to say about a connection that broke is of no interest to anybody but who hunts for it.
	ctx := klog.NewContext(r.Context(), logr.FromSlogHandler(quiet{log.Handler()}))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hw := &hijacker{ResponseWriter: w, gone: func() { cancel(errGone) }}
	r = r.WithContext(ctx)
	if wantsClose(r) {
		serveWebSocket(hw, r, verb, ends, run)
		return
	}
	protocols := []string{remotecommand.StreamProtocolV4Name, remotecommand.StreamProtocolV3Name, remotecommand.StreamProtocolV2Name, remotecommand.StreamProtocolV1Name}
	o := remotecommand.Options{Stdin: ends.Stdin, Stdout: ends.Stdout, Stderr: ends.Stderr, TTY: ends.TTY}
	b := bridge{ends, run}
	if verb == Attach {
		remotecommand.ServeAttach(hw, r, b, "", "", "", &o, idleTimeout, streamTimeout, protocols)
		return
	}
	remotecommand.ServeExec(hw, r, b, "", "", "", nil, &o, idleTimeout, streamTimeout, protocols)
}

// bridge lets Kubernetes' streaming call a function with our streams.
type bridge struct {
	ends Ends
	run  Session
}

// ExecInContainer is called when the client's streams are there.
func (b bridge) ExecInContainer(ctx context.Context, _, _, _ string, _ []string, in io.Reader, out, errw io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	st := Streams{TTY: tty}
	// A stream that the client has not is nil, or one that leads nowhere.
	if b.ends.Stdin && in != nil {
		st.Stdin = in
	}
	if b.ends.Stdout && out != nil {
		st.Stdout = out
	}
	if b.ends.Stderr && errw != nil {
		st.Stderr = errw
	}
	if resize != nil {
		st.Resize = sizes(ctx, resize)
	}
	err := b.run(ctx, st)
	if errors.Is(context.Cause(ctx), errGone) {
		return nil // nobody is left to tell, and it is no error of ours, as which the library would log it
	}
	return err
}

// errGone is why a session's context ended when it was the client who left.
var errGone = errors.New("the client has gone")

// AttachContainer is the same for attach.
func (b bridge) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader, out, errw io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	return b.ExecInContainer(ctx, "", "", "", nil, in, out, errw, tty, resize, 0)
}

// sizes passes on a terminal's sizes.
func sizes(ctx context.Context, from <-chan remotecommand.TerminalSize) <-chan Size {
	to := make(chan Size)
	go func() {
		defer close(to)
		for size := range from {
			select {
			case to <- Size{Width: size.Width, Height: size.Height}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return to
}

// quiet makes every record one for debugging.
type quiet struct{ slog.Handler }

// Enabled says whether anybody debugs.
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle lowers a record. Errors come here without being asked whether they are wanted.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	if !q.Handler.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

// WithAttrs keeps quiet.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup keeps quiet.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
