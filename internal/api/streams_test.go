package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hull-pods/hull/internal/api/stream"
)

const twoContainers = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"two"},"spec":{"initContainers":[{"name":"i","image":"x"}],"containers":[{"name":"a","image":"x"},{"name":"b","image":"x"}]}}`

func TestLogs(t *testing.T) {
	h := newHull(t)
	h.create("web")
	want[corev1.Pod](h, 201, "POST", podsPath, twoContainers)
	log := podsPath + "/web/log"
	for path, words := range map[string]string{
		podsPath + "/nope/log":            `404 NotFound: pods "nope" not found`,
		podsPath + "/two/log":             `400 BadRequest: a container name must be specified for pod two, choose one of: [i a b]`,
		podsPath + "/two/log?container=c": `400 BadRequest: container c is not valid for pod two`,
		log:                               `400 BadRequest: container "a" in pod "web" is not available`,
		log + "?tailLines=-1":             `422 Invalid: PodLogOptions "web" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0`,
		log + "?limitBytes=0":             `422 Invalid: PodLogOptions "web" is invalid: limitBytes: Invalid value: 0: must be greater than 0`,
		log + "?sinceSeconds=1&sinceTime=2020-01-01T00:00:00Z": `422 Invalid: PodLogOptions "web" is invalid: []: Forbidden: at most one of ` + "`sinceTime` or `sinceSeconds`" + ` may be specified`,
	} {
		if got := h.refused("GET", path, ""); got != words {
			t.Errorf("%s\n got %s\nwant %s", path, got, words)
		}
	}
	waiting := func(reason string) {
		h.setStatus("web", func(st *corev1.PodStatus) {
			st.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}}
		})
	}
	for reason, words := range map[string]string{
		"ContainerCreating": "ContainerCreating", "ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image",
	} {
		waiting(reason)
		if got := h.refused("GET", log, ""); got != `400 BadRequest: container "a" in pod "web" is waiting to start: `+words {
			t.Error(got)
		}
	}
	h.runs("web")
	if got := h.refused("GET", log+"?previous=true", ""); got != `400 BadRequest: previous terminated container "a" in pod "web" not found` {
		t.Error(got)
	}
	var id string
	var o LogOptions
	h.runtime.logs = func(_ context.Context, i string, opts LogOptions, stdout, stderr io.Writer) error {
		id, o = i, opts
		for _, w := range []io.Writer{stdout, stderr} {
			if w != nil {
				fmt.Fprintln(w, "hello")
			}
		}
		return nil
	}
	resp := h.request("GET", log+"?tailLines=3&timestamps=true&limitBytes=9&sinceTime=2020-01-01T00:00:00Z", "")
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(body) != "hello\nhello\n" || resp.Header.Get("Content-Type") != "text/plain" || id != "c-web" {
		t.Errorf("%q of %s as %s: %v", body, id, resp.Header.Get("Content-Type"), err)
	}
	if o.Tail != 3 || !o.Timestamps || o.Limit != 9 || o.Since.Year() != 2020 || o.Follow {
		t.Errorf("%+v", o)
	}
	if _, body := h.call("GET", log+"?stream=Stderr", ""); body != "hello\n" || o.Tail != -1 {
		t.Errorf("%q %+v", body, o)
	}
	h.runtime.logs = func(context.Context, string, LogOptions, io.Writer, io.Writer) error {
		return errors.New("the file is gone")
	}
	if got := h.refused("GET", log, ""); got != `500 InternalError: Internal error occurred: the file is gone` {
		t.Error(got)
	}
}

// TestFollow: each line arrives as it is written, the header before the first, and the reader is told when the client goes.
func TestFollow(t *testing.T) {
	h := newHull(t)
	h.create("web")
	h.runs("web")
	lines, ended := make(chan string), make(chan error, 1)
	h.runtime.logs = func(ctx context.Context, _ string, _ LogOptions, stdout, _ io.Writer) error {
		for {
			select {
			case line := <-lines:
				if _, err := io.WriteString(stdout, line); err != nil {
					return err
				}
			case <-ctx.Done():
				ended <- ctx.Err()
				return ctx.Err()
			}
		}
	}
	resp := h.request("GET", podsPath+"/web/log?follow=true", "")
	buf := make([]byte, 100)
	for _, line := range []string{"one\n", "two\n"} {
		lines <- line
		if n, err := resp.Body.Read(buf); err != nil || string(buf[:n]) != line {
			t.Errorf("%q %v", buf[:n], err)
		}
	}
	resp.Body.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestLogsCut: a failure in the middle does not look like the end.
func TestLogsCut(t *testing.T) {
	h := newHull(t)
	h.create("web")
	h.runs("web")
	h.runtime.logs = func(_ context.Context, _ string, _ LogOptions, stdout, _ io.Writer) error {
		fmt.Fprintln(stdout, "half")
		return errors.New("the disk is gone")
	}
	resp := h.request("GET", podsPath+"/web/log", "")
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil || string(body) != "half\n" {
		t.Errorf("%q %v", body, err)
	}
}

// cat is a process that writes its stdin to stdout and stderr and ends with the code that the last line names.
func cat(_ context.Context, _ string, _ []string, st stream.Streams) (int, error) {
	data, err := io.ReadAll(st.Stdin)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(st.Stdout, "out %s", data)
	fmt.Fprintf(st.Stderr, "err %s", data)
	return len(data), nil
}

// dial opens a session of a WebSocket protocol.
func (h *hull) dial(t *testing.T, path, protocol string) *websocket.Conn {
	t.Helper()
	cfg, err := websocket.NewConfig("ws://hull"+path, "http://hull")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Protocol = []string{protocol}
	raw, err := net.Dial("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := websocket.NewClient(cfg, raw)
	if err != nil {
		t.Fatal(err)
	}
	conn.PayloadType = websocket.BinaryFrame
	t.Cleanup(func() { conn.Close() })
	return conn
}

// receive reads a session to its end: what came on each channel.
func receive(t *testing.T, conn *websocket.Conn) map[byte]string {
	t.Helper()
	got := map[byte]string{}
	for {
		var msg []byte
		if err := websocket.Message.Receive(conn, &msg); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			return got
		}
		got[msg[0]] += string(msg[1:])
	}
}

func send(t *testing.T, conn *websocket.Conn, msg string) {
	t.Helper()
	if err := websocket.Message.Send(conn, []byte(msg)); err != nil {
		t.Fatal(err)
	}
}

func TestExecWebSocket(t *testing.T) {
	h := newHull(t)
	h.create("web")
	h.runs("web")
	h.runtime.exec = cat
	conn := h.dial(t, podsPath+"/web/exec?command=cat&command=-&stdin=true&stdout=true&stderr=true", "v5.channel.k8s.io")
	send(t, conn, "\x00abc")
	send(t, conn, "\xff\x00") // stdin has ended
	got := receive(t, conn)
	var st metav1.Status
	if err := json.Unmarshal([]byte(got[3]), &st); err != nil {
		t.Fatal(err)
	}
	if got[1] != "out abc" || got[2] != "err abc" || st.Status != "Failure" || st.Reason != "NonZeroExitCode" || st.Details.Causes[0].Type != "ExitCode" || st.Details.Causes[0].Message != "3" {
		t.Errorf("%q", got)
	}
	if call := h.runtime.called[0]; call != `exec c-web ["cat" "-"] stdin=true stdout=true stderr=true tty=false` {
		t.Error(call)
	}

	conn = h.dial(t, podsPath+"/web/exec?command=cat&stdin=true&stdout=true&stderr=true", "v5.channel.k8s.io")
	send(t, conn, "\xff\x00")
	if got := receive(t, conn); got[3] != `{"metadata":{},"status":"Success"}` {
		t.Errorf("%q", got)
	}
	h.runtime.exec = func(context.Context, string, []string, stream.Streams) (int, error) {
		return 0, errors.New(`exec: "foo": executable file not found in $PATH`)
	}
	got = receive(t, h.dial(t, podsPath+"/web/exec?command=foo&stdout=true", "v5.channel.k8s.io"))
	if err := json.Unmarshal([]byte(got[3]), &st); err != nil || st.Code != 500 || st.Message != `Internal error occurred: error executing command in container: exec: "foo": executable file not found in $PATH` {
		t.Errorf("%q %v", got, err)
	}
}

// TestExecTerminal: one stream out, and the terminal's sizes in; in the older protocol as well.
func TestExecTerminal(t *testing.T) {
	for _, protocol := range []string{"v5.channel.k8s.io", "v4.channel.k8s.io"} {
		h := newHull(t)
		h.create("web")
		h.runs("web")
		h.runtime.exec = func(_ context.Context, _ string, _ []string, st stream.Streams) (int, error) {
			size := <-st.Resize
			buf := make([]byte, 10)
			n, err := st.Stdin.Read(buf)
			if err != nil {
				return 0, err
			}
			fmt.Fprintf(st.Stdout, "%dx%d %s stderr=%v", size.Width, size.Height, buf[:n], st.Stderr != nil)
			return 0, nil
		}
		conn := h.dial(t, podsPath+"/web/exec?command=sh&stdin=true&stdout=true&stderr=true&tty=true", protocol)
		send(t, conn, "\x04"+`{"Width":80,"Height":24}`)
		send(t, conn, "\x00ls")
		if got := receive(t, conn); got[1] != "80x24 ls stderr=false" || !strings.Contains(got[3], `"Success"`) {
			t.Errorf("%s: %q", protocol, got)
		}
	}
}

// TestExecClientGone: a command is told when its client has gone, also one that has said more than the command wants to hear.
func TestExecClientGone(t *testing.T) {
	for _, protocol := range []string{"v5.channel.k8s.io", "v4.channel.k8s.io"} {
		for _, said := range []string{"", "\x00unread input", "\x04" + `{"Width":1,"Height":1}`} {
			h := newHull(t)
			h.create("web")
			h.runs("web")
			begun, ended := make(chan bool), make(chan error, 1)
			h.runtime.exec = func(ctx context.Context, _ string, _ []string, _ stream.Streams) (int, error) {
				close(begun)
				<-ctx.Done()
				ended <- ctx.Err()
				return 0, ctx.Err()
			}
			query := "command=sleep&stdout=true"
			if said != "" {
				query += "&stdin=true"
			}
			conn := h.dial(t, podsPath+"/web/exec?"+query, protocol)
			<-begun
			for n := 0; said != "" && n < 4; n++ {
				if _, err := conn.Write([]byte(said)); err != nil {
					t.Fatal(err)
				}
			}
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%s, having said %q: %v", protocol, said, err)
			}
		}
	}
}

func TestAttach(t *testing.T) {
	h := newHull(t)
	want[corev1.Pod](h, 201, "POST", podsPath, podJSON("web", ""))
	h.runs("web")
	h.runtime.exec = func(_ context.Context, _ string, _ []string, st stream.Streams) (int, error) {
		fmt.Fprint(st.Stdout, "live")
		return 0, nil
	}
	got := receive(t, h.dial(t, podsPath+"/web/attach?stdout=true", "v5.channel.k8s.io"))
	if got[1] != "live" || h.runtime.called[0] != "attach c-web stdin=false stdout=true stderr=false tty=false" {
		t.Errorf("%q %v", got, h.runtime.called)
	}
	h.runtime.exec = func(context.Context, string, []string, stream.Streams) (int, error) { return 0, errors.New("no") }
	got = receive(t, h.dial(t, podsPath+"/web/attach?stdout=true", "v5.channel.k8s.io"))
	if !strings.Contains(got[3], "Internal error occurred: error attaching to container: no") {
		t.Errorf("%q", got)
	}
}

func TestExecRefused(t *testing.T) {
	h := newHull(t)
	h.create("web")
	exec := podsPath + "/web/exec"
	if code, text := h.call("POST", exec+"?command=a&stdout=true", ""); code != 500 || text != "container not found (\"a\")\n" {
		t.Errorf("%d %q", code, text)
	}
	if code, text := h.call("POST", podsPath+"/web/attach?stdout=true", ""); code != 500 || text != "container a not found in pod web_default\n" {
		t.Errorf("%d %q", code, text)
	}
	h.runs("web")
	for path, words := range map[string]string{
		podsPath + "/nope/exec?command=a&stdout=true":   `404 NotFound: pods "nope" not found`,
		exec + "?command=a":                             `400 BadRequest: you must specify at least 1 of stdin, stdout, stderr`,
		exec + "?stdout=true":                           `400 BadRequest: you must specify at least one command for the container`,
		exec + "?command=a&stdout=true&container=other": `400 BadRequest: container other is not valid for pod web`,
	} {
		if got := h.refused("POST", path, ""); got != words {
			t.Errorf("%s\n got %s\nwant %s", path, got, words)
		}
	}
	if code, _ := h.call("POST", exec+"?command=a&stdout=true", ""); code != 400 {
		t.Errorf("without an upgrade: %d", code)
	}
}

// TestKubectlExec: the real client, over WebSocket and over SPDY.
func TestKubectlExec(t *testing.T) {
	h := newHull(t)
	k := newKubectl(t, h)
	h.create("web")
	h.runs("web")
	h.runtime.exec = cat
	h.runtime.logs = func(_ context.Context, _ string, _ LogOptions, stdout, _ io.Writer) error {
		_, err := fmt.Fprintln(stdout, "a line")
		return err
	}
	for _, websockets := range []string{"true", "false"} {
		t.Setenv("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
		out, ok := k.run("abc", "exec", "-i", "web", "--", "cat")
		if ok || !strings.Contains(out, "out abc") || !strings.Contains(out, "err abc") || !strings.Contains(out, "command terminated with exit code 3") {
			t.Errorf("websockets %s: %s", websockets, out)
		}
	}
	if out, ok := k.run("", "logs", "web"); !ok || out != "a line\n" {
		t.Error(out)
	}
	h.setStatus("web", func(st *corev1.PodStatus) { st.ContainerStatuses = nil })
	if out, ok := k.run("", "exec", "web", "--", "cat"); ok || !strings.Contains(out, `error: unable to upgrade connection: container not found ("a")`) {
		t.Error(out)
	}
}

func TestLogOptions(t *testing.T) {
	seconds := int64(60)
	now := time.Unix(1000, 0)
	if o := logOptions(&corev1.PodLogOptions{SinceSeconds: &seconds}, now); !o.Since.Equal(time.Unix(940, 0)) {
		t.Errorf("%+v", o)
	}
}
