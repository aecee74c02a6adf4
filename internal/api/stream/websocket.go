package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/streaming/pkg/httpstream/wsstream"
	"k8s.io/utils/exec"
)

// The channels of a WebSocket session. Each message begins with the number of its channel.
const (
	channelStdin = iota
	channelStdout
	channelStderr
	channelError // one metav1.Status, at the end
	channelResize
	channelCount
)

// wantsClose says whether a request asks for version 5 of the protocol, in which a client can end its stdin and go on
// reading. Kubernetes' streaming library serves the older ones.
func wantsClose(r *http.Request) bool {
	if !wsstream.IsWebSocketRequest(r) {
		return false
	}
	for p := range strings.SplitSeq(r.Header.Get(wsstream.WebSocketProtocolHeader), ",") {
		if strings.TrimSpace(p) == remotecommand.StreamProtocolV5Name {
			return true
		}
	}
	return false
}

// serveWebSocket carries a session of version 5.
//
//	client                                  server
//	   ── upgrade, v5.channel.k8s.io ──────────▶
//	   ◀───────────────────────── 101 ──
//	   ── 0 stdin ─────────────────────────────▶
//	   ── 4 {"Width":80,"Height":24} ──────────▶
//	   ◀────────── 1 stdout, 2 stderr ──
//	   ── 255 0: stdin has ended ──────────────▶
//	   ◀─────── 3 Status, then close ──
//
// If the client closes the connection at any point, run's context ends.
func serveWebSocket(w http.ResponseWriter, r *http.Request, verb Verb, ends Ends, run Session) {
	kind := func(on bool, t wsstream.ChannelType) wsstream.ChannelType {
		if !on {
			return wsstream.IgnoreChannel
		}
		return t
	}
	channels := make([]wsstream.ChannelType, channelCount)
	channels[channelStdin] = kind(ends.Stdin, wsstream.ReadChannel)
	channels[channelStdout] = kind(ends.Stdout, wsstream.WriteChannel)
	channels[channelStderr] = kind(ends.Stderr, wsstream.WriteChannel)
	channels[channelError] = wsstream.WriteChannel
	channels[channelResize] = wsstream.ReadChannel
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		remotecommand.StreamProtocolV5Name: {Binary: true, Channels: channels},
	})
	conn.SetIdleTimeout(idleTimeout)
	_, streams, err := conn.Open(w, r)
	if err != nil {
		return // the upgrade has told the client
	}
	defer func() { _ = conn.Close() }()

	st := Streams{TTY: ends.TTY, Resize: readSizes(r.Context(), streams[channelResize])}
	if ends.Stdin {
		st.Stdin = streams[channelStdin]
	}
	if ends.Stdout {
		st.Stdout = streams[channelStdout]
	}
	if ends.Stderr {
		st.Stderr = streams[channelStderr]
	}
	last, err := json.Marshal(ending(verb, run(r.Context(), st)))
	if err != nil {
		return
	}
	// Nobody is left to tell if the client does not take its last word.
	_, _ = streams[channelError].Write(last)
}

// ending is the last word of a session: success, an exit code, or what went wrong.
func ending(verb Verb, err error) *metav1.Status {
	var exit exec.CodeExitError
	switch {
	case err == nil:
		return &metav1.Status{Status: metav1.StatusSuccess}
	case errors.As(err, &exit):
		return &metav1.Status{
			Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason,
			Message: fmt.Sprintf("command terminated with non-zero exit code: %v", exit),
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: remotecommand.ExitCodeCauseType, Message: strconv.Itoa(exit.Code)}}},
		}
	}
	return &metav1.Status{
		Status: metav1.StatusFailure, Reason: metav1.StatusReasonInternalError, Code: http.StatusInternalServerError,
		Message: fmt.Sprintf("Internal error occurred: %s: %v", verb, err),
	}
}

// readSizes decodes a terminal's sizes until the connection ends.
func readSizes(ctx context.Context, from io.Reader) <-chan Size {
	to := make(chan Size)
	go func() {
		defer close(to)
		for dec := json.NewDecoder(from); ; {
			var size Size
			if dec.Decode(&size) != nil {
				return
			}
			select {
			case to <- size:
			case <-ctx.Done():
				return
			}
		}
	}()
	return to
}
