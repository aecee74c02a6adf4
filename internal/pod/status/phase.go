package status

import (
	"slices"

	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/hull-pods/hull/internal/pod/plan"
)

// tally counts containers by what they are to the phase.
type tally struct {
	pendingInit, failedInit     int // init containers that have yet to end; that failed for good
	pendingSidecars             int
	running, waiting, unknown   int // regular containers and sidecars
	stopped, succeeded, forGood int // regular containers that have ended; with 0; never to be run again
}

// phaseOf sums the containers' states up. ended says that nothing will be started any more.
func phaseOf(pod *v1.Pod, seen *plan.Seen, s *v1.PodStatus, ended bool) v1.PodPhase {
	var t tally
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		st := find(s.InitContainerStatuses, c.Name)
		if podutil.IsRestartableInitContainer(c) {
			t.sidecar(st)
		} else {
			t.init(pod, c, st)
		}
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		t.regular(pod, c, find(s.ContainerStatuses, c.Name), seen.Replaced(c))
	}
	return t.phase(ended, seen.ActiveRegular(pod))
}

func find(list []v1.ContainerStatus, name string) *v1.ContainerStatus {
	i := slices.IndexFunc(list, func(c v1.ContainerStatus) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// ending is how a container that does not run ended last.
func ending(st *v1.ContainerStatus) *v1.ContainerStateTerminated {
	if st.State.Terminated != nil {
		return st.State.Terminated
	}
	return st.LastTerminationState.Terminated
}

func (t *tally) init(pod *v1.Pod, c *v1.Container, st *v1.ContainerStatus) {
	if st == nil || st.State.Running != nil || ending(st) == nil {
		t.pendingInit++
		return
	}
	if code := ending(st).ExitCode; code != 0 && !podutil.ContainerShouldRestart(*c, pod.Spec, code) {
		t.failedInit++
	}
}

func (t *tally) sidecar(st *v1.ContainerStatus) {
	switch {
	case st == nil:
		t.unknown++
	case st.State.Running != nil:
		if st.Started == nil || !*st.Started {
			t.pendingSidecars++
		}
		t.running++
	case ending(st) != nil: // one that has ended says nothing about the Pod
	default:
		t.pendingSidecars++
		t.waiting++
	}
}

// regular counts one that is replaced as one that is to be run again.
func (t *tally) regular(pod *v1.Pod, c *v1.Container, st *v1.ContainerStatus, replaced bool) {
	switch {
	case st == nil:
		t.unknown++
	case st.State.Running != nil:
		t.running++
	case ending(st) != nil:
		t.stopped++
		code := ending(st).ExitCode
		if !replaced && !podutil.ContainerShouldRestart(*c, pod.Spec, code) {
			t.forGood++
		}
		if st.State.Terminated != nil && code == 0 {
			t.succeeded++
		}
	default:
		t.waiting++
	}
}

// phase is told whether a regular container was ever created in the sandbox that is.
func (t *tally) phase(ended, initialized bool) v1.PodPhase {
	result := v1.PodFailed
	if t.stopped == t.succeeded {
		result = v1.PodSucceeded
	}
	switch {
	case t.failedInit > 0:
		return v1.PodFailed
	case t.pendingInit > 0, t.pendingSidecars > 0 && !initialized, t.waiting > 0:
		return v1.PodPending
	case t.running > 0 && t.unknown == 0:
		return v1.PodRunning
	case t.running == 0 && t.stopped > 0 && t.unknown == 0:
		if !ended && t.stopped != t.forGood {
			return v1.PodRunning // some are about to be run again
		}
		return result
	}
	return v1.PodPending
}
