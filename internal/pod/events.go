package pod

import (
	"fmt"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/pod/plan"
	"github.com/hull-pods/hull/internal/pod/spec"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/store"
)

// Reasons of events, in the kubelet's words.
const (
	eventPulling       = "Pulling"
	eventPulled        = "Pulled"
	eventFailed        = "Failed"
	eventInspectFailed = "InspectFailed"
	eventNeverPull     = "ErrImageNeverPull"
	eventBackOff       = "BackOff"
	eventCreated       = "Created"
	eventStarted       = "Started"
	eventKilling       = "Killing"
	eventFailedMount   = "FailedMount"
	eventFailedSandbox = "FailedCreatePodSandBox"
	eventFailedKill    = "FailedKillPod"

	// Hull's own: a kubelet's log alone says why a Pod that is deleted stays.
	eventFailedRemove = "FailedRemovePod"

	eventLogStalled = "LogStalled" // Hull's own: a kubelet's containers lose what their log does not take

	eventNetworkBlocked = "NetworkBlocked" // Hull's own: a kubelet knows nothing of its Pods' network
)

// teller writes events in the order in which they come, in a goroutine of its own: what happens to a Pod does not wait for
// its being told.
type teller struct {
	to     *store.Recorder
	mu     sync.Mutex
	queue  []telling
	closed bool
	wake   chan struct{}
}

type telling struct {
	about                 v1.ObjectReference
	kind, reason, message string
}

func newTeller(to *store.Recorder) *teller {
	return &teller{to: to, wake: make(chan struct{}, 1)}
}

func (t *teller) run(done chan<- struct{}) {
	defer close(done)
	for range t.wake {
		t.mu.Lock()
		queue, closed := t.queue, t.closed
		t.queue = nil
		t.mu.Unlock()
		for _, e := range queue {
			t.to.Event(e.about, e.kind, e.reason, e.message)
		}
		if closed {
			return
		}
	}
}

func (t *teller) put(e telling) {
	t.mu.Lock()
	t.queue = append(t.queue, e)
	t.mu.Unlock()
	t.kick()
}

// close has what is queued written, and run return.
func (t *teller) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.kick()
}

func (t *teller) kick() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// recordEvent writes an event about the Pod, or one of its containers.
func recordEvent(p *Pods, pod *v1.Pod, container, kind, reason, message string) {
	path := ""
	if container != "" {
		path = spec.FieldPath(pod, container)
	}
	p.events.put(telling{about: store.Ref(pod, path), kind: kind, reason: reason, message: message})
}

// stalled tells that a container's output waits, and what it waits for.
func (w *worker) stalled(ev runtime.Event) {
	for _, c := range w.p.cfg.Containers.Containers(ev.SandboxID) {
		if c.ID == ev.ContainerID {
			w.event(c.Config.Name, v1.EventTypeWarning, eventLogStalled,
				fmt.Sprintf("The container's output waits, as its log cannot be written: make room on the disk of %s", c.LogPath))
		}
	}
}

// note tells an event of the plan's, once.
func (w *worker) note(a plan.Action) {
	n := note{a.ID, a.Reason}
	if w.noted[n] {
		return
	}
	w.noted[n] = true
	kind := v1.EventTypeNormal
	if a.Warning {
		kind = v1.EventTypeWarning
	}
	w.event(a.Name, kind, a.Reason, a.Message)
}

// wait writes down why a container does not run, and tells it.
func (w *worker) wait(a plan.Action) {
	w.seen.Waiting[a.Name] = plan.Waiting{Reason: a.Reason, Message: a.Message, At: time.Now()}
	switch a.Reason {
	case plan.CrashLoopBackOff:
		w.event(a.Name, v1.EventTypeWarning, eventBackOff, fmt.Sprintf("Back-off restarting failed container %s in pod %s", a.Name, plan.Describe(w.pod)))
	case plan.ImagePullBackOff:
		if c := spec.Find(w.pod, a.Name); c != nil {
			w.event(a.Name, v1.EventTypeNormal, eventBackOff, fmt.Sprintf("Back-off pulling image %q", c.Image))
		}
		w.event(a.Name, v1.EventTypeWarning, eventFailed, "Error: "+a.Reason)
	}
}
