package pod

import (
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/pod/plan"
	"github.com/hull-pods/hull/internal/pod/spec"
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
)

// recordEvent writes an event about the Pod, or one of its containers.
func recordEvent(p *Pods, pod *v1.Pod, container, kind, reason, message string) {
	path := ""
	if container != "" {
		path = spec.FieldPath(pod, container)
	}
	p.events.Event(store.Ref(pod, path), kind, reason, message)
}

// note tells an event of the plan's, once.
func (w *worker) note(a plan.Action) {
	if w.noted[a.Key()] {
		return
	}
	w.noted[a.Key()] = true
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
