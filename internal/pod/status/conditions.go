package status

import (
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/hull-pods/hull/internal/pod/plan"
)

// Reasons of conditions.
const (
	reasonCompleted      = "PodCompleted"
	reasonFailed         = "PodFailed"
	reasonNotReady       = "ContainersNotReady"
	reasonNotInitialized = "ContainersNotInitialized"
	reasonGates          = "ReadinessGatesNotReady"
	reasonSandbox        = "PodSandboxNotReady"
)

// Ours tells whether a condition is computed here; others are kept as they are.
func Ours(t v1.PodConditionType) bool {
	switch t {
	case v1.PodReadyToStartContainers, v1.PodInitialized, v1.PodReady, v1.ContainersReady, v1.PodScheduled:
		return true
	}
	return false
}

// conditions computes the Pod's conditions, without their times.
func conditions(pod *v1.Pod, seen *plan.Seen, s *v1.PodStatus) []v1.PodCondition {
	var list []v1.PodCondition
	for _, c := range pod.Status.Conditions {
		if !Ours(c.Type) {
			list = append(list, c)
		}
	}
	containersReady := containersReady(pod, s)
	return append(list,
		readyToStart(pod, seen),
		initializedCondition(pod, s),
		podReady(pod, containersReady),
		containersReady,
		condition(pod, v1.PodScheduled, true, "", ""),
	)
}

func condition(pod *v1.Pod, kind v1.PodConditionType, ok bool, reason, message string) v1.PodCondition {
	status := v1.ConditionFalse
	if ok {
		status = v1.ConditionTrue
	}
	return v1.PodCondition{Type: kind, ObservedGeneration: pod.Generation, Status: status, Reason: reason, Message: message}
}

// readyToStart: there is a sandbox, with its network.
func readyToStart(pod *v1.Pod, seen *plan.Seen) v1.PodCondition {
	needed, _, _, why := plan.SandboxNeeded(pod, seen)
	if !needed {
		return condition(pod, v1.PodReadyToStartContainers, true, "", "")
	}
	return condition(pod, v1.PodReadyToStartContainers, false, reasonSandbox, why)
}

// initializedCondition: every init container is through, and sidecars have started; or regular containers have.
func initializedCondition(pod *v1.Pod, s *v1.PodStatus) v1.PodCondition {
	var incomplete []string
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		st := find(s.InitContainerStatuses, c.Name)
		through := st.Ready
		if podutil.IsRestartableInitContainer(c) {
			through = st.Started != nil && *st.Started
		}
		if !through {
			incomplete = append(incomplete, c.Name)
		}
	}
	if s.Phase == v1.PodSucceeded {
		return condition(pod, v1.PodInitialized, true, reasonCompleted, "")
	}
	_, before := podutil.GetPodCondition(&pod.Status, v1.PodInitialized)
	was := before != nil && before.Status == v1.ConditionTrue
	for i := range s.ContainerStatuses {
		was = was || s.ContainerStatuses[i].State.Running != nil || s.ContainerStatuses[i].State.Terminated != nil
	}
	if len(incomplete) == 0 || was {
		return condition(pod, v1.PodInitialized, true, "", "")
	}
	return condition(pod, v1.PodInitialized, false, reasonNotInitialized, fmt.Sprintf("containers with incomplete status: %s", incomplete))
}

// containersReady: every regular container and every sidecar is ready.
func containersReady(pod *v1.Pod, s *v1.PodStatus) v1.PodCondition {
	if podutil.IsPodPhaseTerminal(s.Phase) {
		return terminalCondition(pod, v1.ContainersReady, s.Phase)
	}
	var unready []string
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if podutil.IsRestartableInitContainer(c) && !find(s.InitContainerStatuses, c.Name).Ready {
			unready = append(unready, c.Name)
		}
	}
	for i := range pod.Spec.Containers {
		if name := pod.Spec.Containers[i].Name; !find(s.ContainerStatuses, name).Ready {
			unready = append(unready, name)
		}
	}
	if len(unready) > 0 {
		return condition(pod, v1.ContainersReady, false, reasonNotReady, fmt.Sprintf("containers with unready status: %s", unready))
	}
	return condition(pod, v1.ContainersReady, true, "", "")
}

func terminalCondition(pod *v1.Pod, kind v1.PodConditionType, phase v1.PodPhase) v1.PodCondition {
	reason := reasonCompleted
	if phase == v1.PodFailed {
		reason = reasonFailed
	}
	return condition(pod, kind, false, reason, "")
}

// podReady: the containers are, and so are the readiness gates.
func podReady(pod *v1.Pod, containers v1.PodCondition) v1.PodCondition {
	ready := containers
	ready.Type = v1.PodReady
	if containers.Status != v1.ConditionTrue {
		return ready
	}
	var missing []string
	for _, gate := range pod.Spec.ReadinessGates {
		_, c := podutil.GetPodCondition(&pod.Status, gate.ConditionType)
		switch {
		case c == nil:
			missing = append(missing, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", gate.ConditionType))
		case c.Status != v1.ConditionTrue:
			missing = append(missing, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", gate.ConditionType, c.Status))
		}
	}
	if len(missing) > 0 {
		return condition(pod, v1.PodReady, false, reasonGates, strings.Join(missing, ", "))
	}
	return ready
}
