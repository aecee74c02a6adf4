package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// watching is a watch over HTTP whose events are read one by one.
type watching struct {
	t     *testing.T
	resp  *http.Response
	lines *bufio.Scanner
	stop  context.CancelFunc
}

func (h *hull) watch(t *testing.T, path string) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://hull"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: %s", path, resp.Status)
	}
	w := &watching{t: t, resp: resp, lines: bufio.NewScanner(resp.Body), stop: cancel}
	w.lines.Buffer(nil, 1<<20)
	t.Cleanup(func() {
		cancel()
		resp.Body.Close()
	})
	return w
}

// take reads n events: TYPE name@version, joined.
func (w *watching) take(n int) string {
	w.t.Helper()
	var out []string
	for range n {
		if !w.lines.Scan() {
			out = append(out, "END")
			break
		}
		var ev struct {
			Type   string
			Object json.RawMessage
		}
		if err := json.Unmarshal(w.lines.Bytes(), &ev); err != nil {
			w.t.Fatal(err)
		}
		if ev.Type == "ERROR" {
			var st metav1.Status
			if err := json.Unmarshal(ev.Object, &st); err != nil {
				w.t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("ERROR %s %d %s", st.Kind, st.Code, st.Reason))
			continue
		}
		var p corev1.Pod
		if err := json.Unmarshal(ev.Object, &p); err != nil {
			w.t.Fatal(err)
		}
		if p.Kind != "Pod" || p.APIVersion != "v1" {
			w.t.Errorf("%s", w.lines.Bytes())
		}
		out = append(out, fmt.Sprintf("%s %s@%s", ev.Type, p.Name, p.ResourceVersion))
	}
	return strings.Join(out, ", ")
}

func (w *watching) want(want string) {
	w.t.Helper()
	if got := w.take(strings.Count(want, ",") + 1); got != want {
		w.t.Errorf("\n got %s\nwant %s", got, want)
	}
}

func TestWatch(t *testing.T) {
	h := newHull(t)
	h.create("a")
	all := h.watch(t, podsPath+"?watch=true")
	list := want[corev1.PodList](h, 200, "GET", podsPath, "")
	since := h.watch(t, podsPath+"?watch=true&resourceVersion="+list.ResourceVersion)
	running := h.watch(t, podsPath+"?watch=true&resourceVersion="+list.ResourceVersion+"&fieldSelector=status.phase%3DRunning")
	marked := h.watch(t, podsPath+"?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
	h.runs("a")
	h.create("b")
	want[corev1.Pod](h, 200, "DELETE", podsPath+"/a?gracePeriodSeconds=0", "")
	all.want("ADDED a@1, MODIFIED a@2, ADDED b@3, DELETED a@4")
	since.want("MODIFIED a@2, ADDED b@3, DELETED a@4")
	running.want("ADDED a@2, DELETED a@4")
	marked.want("ADDED a@1, BOOKMARK @1, MODIFIED a@2, ADDED b@3, DELETED a@4")
}

// TestWatchGracefulDeletion: what a client that waits for the end of a Pod sees.
func TestWatchGracefulDeletion(t *testing.T) {
	h := newHull(t)
	h.create("a")
	w := h.watch(t, podsPath+"?watch=true&resourceVersion=1&fieldSelector=metadata.name%3Da")
	want[corev1.Pod](h, 200, "DELETE", podsPath+"/a", "")
	want[corev1.Pod](h, 200, "DELETE", podsPath+"/a?gracePeriodSeconds=0", "")
	w.want("MODIFIED a@2, DELETED a@3")
}

func TestWatchExpired(t *testing.T) {
	h := newHull(t)
	h.create("a")
	for i := range 5000 {
		h.setStatus("a", func(st *corev1.PodStatus) { st.Message = fmt.Sprint(i) })
	}
	got := h.refused("GET", podsPath+"?watch=true&resourceVersion=1", "")
	if !strings.HasPrefix(got, "410 Expired: too old resource version: 1 (") {
		t.Error(got)
	}
	if got := h.refused("GET", podsPath+"?resourceVersion=1&resourceVersionMatch=Exact", ""); got != "410 Expired: The resourceVersion for the provided list is too old." {
		t.Error(got)
	}
}

func TestWatchTimeout(t *testing.T) {
	h := newHull(t)
	h.create("a")
	h.watch(t, podsPath+"?watch=true&timeoutSeconds=1").want("ADDED a@1, END")
}

// TestWatchEndsWithTheServer: a watch does not hold up the end of the daemon (see the harness, which waits for it).
func TestWatchEndsWithTheServer(t *testing.T) {
	h := newHull(t)
	h.create("a")
	for range 10 {
		h.watch(t, podsPath+"?watch=true").want("ADDED a@1")
	}
}

func TestManyWatches(t *testing.T) {
	h := newHull(t)
	watches := make([]*watching, 100)
	for i := range watches {
		watches[i] = h.watch(t, "/api/v1/pods?watch=true")
	}
	for i := range 20 {
		h.create(fmt.Sprintf("p%02d", i))
	}
	first := watches[0].take(20)
	for i, w := range watches[1:] {
		if got := w.take(20); got != first {
			t.Errorf("watch %d: %s", i+1, got)
		}
	}
}
