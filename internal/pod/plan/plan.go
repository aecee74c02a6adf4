// Package plan decides what to do next for one Pod.
//
// It is the kubelet's judgement without the kubelet's machinery: [Next] looks at the object and at what is seen, and
// returns actions; it has no clock, does no I/O and starts no goroutine. The worker carries the actions out, feeds back
// what it sees, and asks again; Next never returns an action whose key is in Seen.Doing, so it may be asked at any time.
//
// What happens when nothing is wrong:
//
//	make-volumes → run-sandbox → start init containers one by one → start containers
//
// and at the end
//
//	kill … → stop-sandbox → remove-volumes → (deleted: remove-container …, remove-sandbox …, finish)
package plan

import (
	"time"

	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// Reasons for which a container waits, in the kubelet's words.
const (
	CrashLoopBackOff  = "CrashLoopBackOff"
	ErrImagePull      = "ErrImagePull"
	ImagePullBackOff  = "ImagePullBackOff"
	ErrImageNeverPull = "ErrImageNeverPull"
	ImageInspectError = "ImageInspectError"
	InvalidImageName  = "InvalidImageName"
	CreateConfigError = "CreateContainerConfigError"
	CreateError       = "CreateContainerError"
	RunContainerError = "RunContainerError"
)

// Next returns what to do now, and when to ask again if nothing happens until then (zero: never). The status in pod is the
// one computed last from the same Seen: a phase that is terminal there ends the Pod.
func Next(pod *v1.Pod, seen Seen, now time.Time) (actions []Action, wake time.Time) {
	p := planner{pod: pod, seen: &seen, now: now}
	switch {
	case p.over():
		p.terminate()
	case seen.Draining != 0:
		p.killAll()
	default:
		p.deadline()
		p.run()
	}
	return p.actions, p.wake
}

// Over tells whether the Pod is on its way out: deleted, or in a phase that is final.
func Over(pod *v1.Pod, seen *Seen) bool {
	return seen.Orphan || pod.DeletionTimestamp != nil || podutil.IsPodPhaseTerminal(pod.Status.Phase)
}

type planner struct {
	pod     *v1.Pod
	seen    *Seen
	now     time.Time
	actions []Action
	wake    time.Time
}

func (p *planner) over() bool { return Over(p.pod, p.seen) }

// wakeAt asks to be called again at t at the latest.
func (p *planner) wakeAt(t time.Time) {
	if p.wake.IsZero() || t.Before(p.wake) {
		p.wake = t
	}
}

// doing tells whether an action of this key is under way.
func (p *planner) doing(key string) bool {
	_, ok := p.seen.Doing[key]
	return ok
}

// doingAny tells whether an action of one of the kinds is under way.
func (p *planner) doingAny(kinds ...Kind) bool {
	for key := range p.seen.Doing {
		for _, k := range kinds {
			if kindOf(key) == k {
				return true
			}
		}
	}
	return false
}

// add appends an action unless it is under way, or failed so lately that it has to wait.
func (p *planner) add(a Action) {
	key := a.Key()
	if p.doing(key) {
		return
	}
	if t, ok := p.seen.Retry[key]; ok && t.After(p.now) {
		p.wakeAt(t)
		return
	}
	p.actions = append(p.actions, a)
}

// deadline asks to be woken when the Pod has been active for too long; the status then makes it Failed.
func (p *planner) deadline() {
	if t, ok := Deadline(p.pod); ok && t.After(p.now) {
		p.wakeAt(t)
	}
}

// Deadline is when activeDeadlineSeconds is over, if the Pod has one and has started.
func Deadline(pod *v1.Pod) (time.Time, bool) {
	if pod.Spec.ActiveDeadlineSeconds == nil || pod.Status.StartTime.IsZero() {
		return time.Time{}, false
	}
	return pod.Status.StartTime.Add(time.Duration(*pod.Spec.ActiveDeadlineSeconds) * time.Second), true
}

// SandboxNeeded tells whether a new sandbox is needed, as which attempt, instead of which one, and why in the words of the
// PodReadyToStartContainers condition.
func SandboxNeeded(pod *v1.Pod, seen *Seen) (needed bool, attempt uint32, old, why string) {
	if len(seen.Sandboxes) == 0 {
		return true, 0, "", "no pod sandbox exists"
	}
	ready := 0
	for _, s := range seen.Sandboxes {
		if s.Ready {
			ready++
		}
	}
	newest := seen.Sandboxes[0]
	switch {
	case ready > 1:
		why = "multiple pod sandboxes are ready and need to be reconciled"
	case !newest.Ready:
		why = "pod sandbox is not ready"
	case !pod.Spec.HostNetwork && len(newest.IPs) == 0:
		why = "pod sandbox has no IP address"
	default:
		return false, newest.Attempt, newest.ID, ""
	}
	return true, newest.Attempt + 1, newest.ID, why
}

// ShouldRestart tells whether a container that does not run shall be started, again or for the first time.
func ShouldRestart(c *v1.Container, pod *v1.Pod, last *Container) bool {
	switch {
	case pod.DeletionTimestamp != nil:
		return false
	case last == nil:
		return true
	case last.State == Running:
		return false
	case last.State == Unknown, last.State == Created:
		return true
	}
	return podutil.ContainerShouldRestart(*c, pod.Spec, int32(last.ExitCode))
}
