package pod

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/pod/plan"
	"github.com/hull-pods/hull/internal/pod/spec"
	"github.com/hull-pods/hull/internal/pod/status"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/volume"
)

// look reads what the runtime has of the Pod.
func (w *worker) look(ctx context.Context) {
	var sandboxes []plan.Sandbox
	var containers []plan.Container
	w.sandboxes = slices.DeleteFunc(w.sandboxes, func(id string) bool {
		s, err := w.p.cfg.Sandboxes.Sandbox(id)
		if errdefs.IsNotFound(err) {
			w.p.disown(id)
			delete(w.stopped, id)
			maps.DeleteFunc(w.noted, func(n note, _ bool) bool { return n.sandbox == id })
			return true
		}
		sandboxes = append(sandboxes, w.sandbox(&s))
		for _, c := range w.p.cfg.Containers.Containers(id) {
			if !w.hidden(&c) {
				containers = append(containers, w.container(ctx, &c))
			}
		}
		return false
	})
	slices.SortFunc(sandboxes, func(a, b plan.Sandbox) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.Attempt, a.Attempt))
	})
	slices.SortFunc(containers, func(a, b plan.Container) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.Attempt, a.Attempt), cmp.Compare(a.Name, b.Name))
	})
	w.seen.Sandboxes, w.seen.Containers = sandboxes, containers
	w.seen.Containers = append(w.seen.Containers, status.Past(w.pod, &w.seen)...)
	w.forget()
}

// forget drops what was remembered of containers that are gone.
func (w *worker) forget() {
	known, running := map[string]bool{}, false
	for _, c := range w.seen.Containers {
		known[c.ID] = true
		running = running || c.State == plan.Running
	}
	for id := range w.messages {
		if !known[id] {
			delete(w.messages, id)
		}
	}
	for id := range w.records {
		if !known[id] {
			delete(w.records, id)
		}
	}
	for id := range w.seen.Killed {
		if !known[id] {
			delete(w.seen.Killed, id)
		}
	}
	if !running {
		w.seen.Ending = time.Time{}
	}
}

func (w *worker) sandbox(s *runtime.SandboxStatus) plan.Sandbox {
	out := plan.Sandbox{
		ID: s.ID, Attempt: s.Config.Attempt, Ready: s.State == runtime.SandboxReady, Stopped: w.stopped[s.ID], CreatedAt: s.CreatedAt,
	}
	for _, ip := range s.IPs {
		out.IPs = append(out.IPs, ip.String())
	}
	return out
}

func (w *worker) container(ctx context.Context, c *runtime.ContainerStatus) plan.Container {
	notes := spec.ReadNotes(&c.Config)
	w.records[c.ID] = record{log: c.LogPath, termination: notes.Termination}
	out := plan.Container{
		ID: c.ID, SandboxID: c.SandboxID, Name: c.Config.Name, Attempt: c.Config.Attempt, Backoff: notes.Backoff,
		CreatedAt: c.CreatedAt, StartedAt: c.StartedAt, FinishedAt: c.EndedAt,
		ExitCode: c.ExitCode, Reason: c.Reason, Message: bounded(c.Message),
		Image: c.Config.Image, ImageName: notes.ImageName, ImageRef: notes.ImageRef,
	}
	switch c.State {
	case runtime.ContainerCreated:
		out.State = plan.Created
	case runtime.ContainerRunning:
		out.State = plan.Running
	case runtime.ContainerExited:
		out.State = plan.Exited
		said := w.lastWords(ctx, c, notes)
		if out.Message != "" && said != "" {
			out.Message += ": "
		}
		out.Message += said
	default:
		out.State = plan.Unknown
	}
	return out
}

// errorBytes bounds an error that is written into a status: it may quote what an image says, and that can be megabytes.
const errorBytes = 4096

func bounded(message string) string {
	if len(message) <= errorBytes {
		return message
	}
	return strings.ToValidUTF8(message[:errorBytes-3], "") + "..."
}

// The kubelet's bounds of a message that is taken from a log.
const (
	messageLines = 80
	messageBytes = 2048
)

// lastWords is a container's termination message: what it left in the file, or if the Pod wants that, and it failed without
// a word, the end of its log. It is read once.
func (w *worker) lastWords(ctx context.Context, c *runtime.ContainerStatus, notes spec.Notes) string {
	if said, known := w.messages[c.ID]; known {
		return said
	}
	said := ""
	if notes.Termination != "" {
		var err error
		if said, err = volume.TerminationMessage(notes.Termination); err != nil {
			said = fmt.Sprintf("Error on reading termination log %s: %v", notes.Termination, err)
		}
	}
	// What never ran has no log.
	if said == "" && notes.FallbackToLogs && c.ExitCode != 0 && c.Reason != runtime.ReasonStartError {
		said = w.endOfLog(ctx, c.ID)
	}
	w.messages[c.ID] = said
	return said
}

func (w *worker) endOfLog(ctx context.Context, id string) string {
	var end tail
	err := w.p.cfg.Containers.Logs(ctx, id, runtime.LogOptions{Tail: new(int64(messageLines))}, &end, &end)
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Sprintf("Error on reading termination message from logs: %v", err)
	}
	return string(end)
}

// tail keeps the last messageBytes of what is written to it.
type tail []byte

func (t *tail) Write(b []byte) (int, error) {
	n := len(b)
	*t = append(*t, b[max(0, n-messageBytes):]...)
	if over := len(*t) - messageBytes; over > 0 {
		*t = append((*t)[:0], (*t)[over:]...)
	}
	return n, nil
}
