package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/hulltest/live"
)

// patience is how long anything may take on a machine that is busy with other tests. Nothing waits for it when all is well.
const patience = 2 * time.Minute

const killSignal = syscall.SIGKILL

// await returns a Pod once it is as wanted, and shows what it was last if it does not come to that.
func await(t testing.TB, h *live.Hull, name, what string, wanted func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last *corev1.Pod
	q := url.Values{"fieldSelector": {"metadata.name=" + name}}
	err := h.API.Watch(ctx, client.Request{Path: podsPath, Query: q}, func(e client.Event) error {
		if e.Type == "BOOKMARK" {
			return nil
		}
		p := &corev1.Pod{}
		if err := json.Unmarshal(e.Object, p); err != nil {
			return err
		}
		last = p
		if e.Type != "DELETED" && wanted(p) {
			return client.ErrStop
		}
		return nil
	})
	if err != nil || last == nil || !wanted(last) {
		t.Fatalf("pod %s does not come to: %s (%v)\n%s\nhulld's log:\n%s", name, what, err, text(last), h.Log())
	}
	return last
}

const podsPath = "/api/v1/namespaces/default/pods"

func text(p *corev1.Pod) string {
	if p == nil {
		return "no such Pod"
	}
	data, err := json.MarshalIndent(p.Status, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// status is a container's status, or an empty one.
func status(p *corev1.Pod, name string) corev1.ContainerStatus {
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if s.Name == name {
			return s
		}
	}
	return corev1.ContainerStatus{}
}

func isRunning(container string, restarts int32) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		s := status(p, container)
		return s.State.Running != nil && s.RestartCount == restarts
	}
}

func isReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// awaitEvent returns the message of a Pod's event once there is one of that reason whose message has the part.
func awaitEvent(t testing.TB, h *live.Hull, pod, reason, part string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var found string
	var seen []string
	q := url.Values{"fieldSelector": {"involvedObject.name=" + pod}}
	err := h.API.Watch(ctx, client.Request{Path: "/api/v1/namespaces/default/events", Query: q}, func(e client.Event) error {
		var ev corev1.Event
		if err := json.Unmarshal(e.Object, &ev); err != nil {
			return err
		}
		seen = append(seen, ev.Reason+": "+ev.Message)
		if ev.Reason == reason && strings.Contains(ev.Message, part) {
			found = ev.Message
			return client.ErrStop
		}
		return nil
	})
	if err != nil || found == "" {
		t.Fatalf("pod %s has no event %s with %q (%v); it has:\n%s\nhulld's log:\n%s", pod, reason, part, err, strings.Join(seen, "\n"), h.Log())
	}
	return found
}

// column is a Pod's cell in the table of hull get pods.
func column(t testing.TB, h *live.Hull, pod, name string) string {
	t.Helper()
	lines := strings.Split(h.Must("get", "pod", pod), "\n")
	at := strings.Index(lines[0], name)
	if at < 0 || len(lines) < 2 || len(lines[1]) < at {
		t.Fatalf("no column %s in %q", name, lines)
	}
	return strings.Fields(lines[1][at:])[0]
}

// awaitLog waits for a part, one of several, in a Pod's output.
func awaitLog(t testing.TB, h *live.Hull, pod string, parts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	await(t, h, pod, "it has started", func(p *corev1.Pod) bool { return p.Status.Phase != corev1.PodPending })
	body, err := h.API.Stream(ctx, client.Request{Path: podsPath + "/" + pod + "/log", Query: url.Values{"follow": {"true"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	var seen strings.Builder
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		seen.WriteString(lines.Text() + "\n")
		if slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(lines.Text(), p) }) {
			return
		}
	}
	t.Fatalf("pod %s never says %q; it says:\n%s", pod, parts, seen.String())
}
