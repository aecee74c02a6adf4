// Package status computes what a Pod's object says about it, in the kubelet's words.
//
// [Of] is a pure function of the object (whose status is the one computed before), of what is seen, and of the time.
// [Publish] then holds back what the store must not say yet.
package status

import (
	"net/netip"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/resource"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"

	"github.com/hull-pods/hull/internal/pod/plan"
)

// maxMessages is how many bytes of termination messages one Pod's status may hold.
const maxMessages = 12 << 10

// Of is the Pod's status as it is now. hostIPs are the host's own addresses, the preferred family first.
func Of(pod *v1.Pod, seen *plan.Seen, hostIPs []string, now time.Time) v1.PodStatus {
	old := &pod.Status
	ended := plan.Over(pod, seen) && seen.Stopped()
	s := v1.PodStatus{ObservedGeneration: pod.Generation, QOSClass: qos.GetPodQOS(pod), NominatedNodeName: old.NominatedNodeName}
	addresses(&s, pod, seen, hostIPs)
	s.ContainerStatuses = regularStatuses(pod, seen)
	s.InitContainerStatuses = initStatuses(pod, seen)
	readiness(pod, &s)
	resources(pod, &s)
	setPhase(&s, pod, seen, ended, now)
	s.Conditions = conditions(pod, seen, &s)
	if ended {
		finalize(pod, &s)
	}
	started := metav1.NewTime(now)
	if !old.StartTime.IsZero() {
		started = *old.StartTime
	}
	s.StartTime = new(started.Rfc3339Copy()) // the old one belongs to the store
	for i := range s.Conditions {
		c := &s.Conditions[i]
		if _, before := podutil.GetPodCondition(old, c.Type); before != nil && before.Status == c.Status {
			c.LastTransitionTime = before.LastTransitionTime
		} else {
			c.LastTransitionTime = metav1.NewTime(now)
		}
	}
	normalize(pod, &s)
	return s
}

// setPhase computes the phase; one that is final stays, with its reason.
func setPhase(s *v1.PodStatus, pod *v1.Pod, seen *plan.Seen, ended bool, now time.Time) {
	old := &pod.Status
	s.Phase = phaseOf(pod, seen, s, ended)
	if podutil.IsPodPhaseTerminal(old.Phase) {
		s.Phase = old.Phase
	}
	if s.Phase == old.Phase {
		s.Reason, s.Message = old.Reason, old.Message
	}
	if seen.Evicted != "" && s.Phase != v1.PodSucceeded && pod.DeletionTimestamp == nil {
		s.Phase, s.Reason, s.Message = v1.PodFailed, "Evicted", seen.Evicted
		return
	}
	if end, ok := plan.Deadline(pod); ok && !now.Before(end) && s.Phase != v1.PodSucceeded && pod.DeletionTimestamp == nil {
		s.Phase = v1.PodFailed
		s.Reason = "DeadlineExceeded"
		s.Message = "Pod was active on the node longer than the specified deadline"
	}
}

// Publish is what the store may be told: a Pod is in a final phase only when nothing of it runs any more, and then it is
// not ready. published is what the store says now.
func Publish(pod *v1.Pod, published *v1.PodStatus, s v1.PodStatus, stopped bool) v1.PodStatus {
	s = *s.DeepCopy()
	if !stopped && podutil.IsPodPhaseTerminal(s.Phase) && !podutil.IsPodPhaseTerminal(published.Phase) {
		s.Phase, s.Reason, s.Message = published.Phase, published.Reason, published.Message
	}
	if podutil.IsPodPhaseTerminal(s.Phase) {
		for i := range s.Conditions {
			c := &s.Conditions[i]
			if (c.Type == v1.PodReady || c.Type == v1.ContainersReady) && c.Status == v1.ConditionTrue {
				at := c.LastTransitionTime
				*c = terminalCondition(pod, c.Type, s.Phase)
				c.LastTransitionTime = at
			}
		}
	}
	return s
}

// addresses fills in the Pod's and the host's IPs. A Pod without a sandbox that lives keeps the address that it had.
func addresses(s *v1.PodStatus, pod *v1.Pod, seen *plan.Seen, hostIPs []string) {
	for _, ip := range hostIPs {
		s.HostIPs = append(s.HostIPs, v1.HostIP{IP: ip})
	}
	if len(hostIPs) > 0 {
		s.HostIP = hostIPs[0]
	}
	var ips []string
	switch active := seen.Active(); {
	case pod.Spec.HostNetwork:
		ips = hostIPs
	case active != nil:
		ips = familyOrder(active.IPs)
	case len(seen.Sandboxes) > 0 || plan.Over(pod, seen):
		for _, ip := range pod.Status.PodIPs {
			ips = append(ips, ip.IP)
		}
	}
	for _, ip := range ips {
		s.PodIPs = append(s.PodIPs, v1.PodIP{IP: ip})
	}
	if len(ips) > 0 {
		s.PodIP = ips[0]
	}
}

// familyOrder is the first IPv4 address, then the first IPv6 address.
func familyOrder(ips []string) []string {
	var v4, v6 string
	for _, s := range ips {
		ip, err := netip.ParseAddr(s)
		switch {
		case err != nil:
		case ip.Unmap().Is4() && v4 == "":
			v4 = ip.Unmap().String()
		case !ip.Unmap().Is4() && v6 == "":
			v6 = ip.String()
		}
	}
	var out []string
	for _, s := range []string{v4, v6} {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// readiness says of each container whether it has started and is ready. Without probes, what runs is both.
func readiness(pod *v1.Pod, s *v1.PodStatus) {
	for i := range s.ContainerStatuses {
		c := &s.ContainerStatuses[i]
		running := c.State.Running != nil
		c.Started, c.Ready = &running, running
	}
	for i := range s.InitContainerStatuses {
		c := &s.InitContainerStatuses[i]
		running := c.State.Running != nil
		c.Started = &running
		if podutil.IsRestartableInitContainer(&pod.Spec.InitContainers[i]) {
			c.Ready = running
		} else {
			c.Ready = c.State.Terminated != nil && c.State.Terminated.ExitCode == 0
		}
	}
}

// resources says what the Pod as a whole was given.
func resources(pod *v1.Pod, s *v1.PodStatus) {
	s.Resources = &v1.ResourceRequirements{}
	if !asks(pod) { // nearly none does, and the sum of nothing is several KB of garbage
		return
	}
	opts := resource.PodResourcesOptions{}
	s.Resources.Requests, s.Resources.Limits = resource.PodRequests(pod, opts), resource.PodLimits(pod, opts)
	s.AllocatedResources = s.Resources.Requests.DeepCopy()
}

// asks tells whether a Pod asks for any resources.
func asks(pod *v1.Pod) bool {
	does := func(c v1.Container) bool { return len(c.Resources.Requests)+len(c.Resources.Limits) > 0 }
	return pod.Spec.Resources != nil || len(pod.Spec.Overhead) > 0 ||
		slices.ContainsFunc(pod.Spec.Containers, does) || slices.ContainsFunc(pod.Spec.InitContainers, does)
}

// finalize gives every container of a Pod that has ended an end, and the Pod a final phase: whoever has no exit code by now
// never gets one.
func finalize(pod *v1.Pod, s *v1.PodStatus) {
	lost := v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
		Reason: reasonUnknown, Message: "The container could not be located when the pod was terminated", ExitCode: 137,
	}}
	if initialized(pod) {
		for i := range s.ContainerStatuses {
			if s.ContainerStatuses[i].State.Terminated == nil {
				s.ContainerStatuses[i].State = lost
			}
		}
	}
	begun := 1 // init containers up to the last that left a trace, and one at least
	for i, c := range s.InitContainerStatuses {
		if c.State.Waiting == nil || c.LastTerminationState.Terminated != nil {
			begun = i + 1
		}
	}
	for i := range s.InitContainerStatuses[:min(begun, len(s.InitContainerStatuses))] {
		if s.InitContainerStatuses[i].State.Terminated == nil {
			s.InitContainerStatuses[i].State = lost
		}
	}
	if !podutil.IsPodPhaseTerminal(s.Phase) {
		s.Phase = v1.PodFailed
	}
}

// initialized tells whether the Pod's init containers were ever through, as far as its last status knows.
func initialized(pod *v1.Pod) bool {
	n := len(pod.Spec.InitContainers)
	if n == 0 {
		return true
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.LastTerminationState.Terminated != nil || c.State.Waiting == nil {
			return true
		}
	}
	if len(pod.Status.InitContainerStatuses) < n {
		return false
	}
	last := pod.Status.InitContainerStatuses[n-1]
	if podutil.IsRestartableInitContainer(&pod.Spec.InitContainers[n-1]) {
		return last.State.Running != nil && last.Started != nil && *last.Started
	}
	for _, t := range []*v1.ContainerStateTerminated{last.State.Terminated, last.LastTerminationState.Terminated} {
		if t != nil && t.ExitCode == 0 {
			return true
		}
	}
	return false
}

// normalize cuts times to the seconds that the object keeps, and messages to what one object may hold.
func normalize(pod *v1.Pod, s *v1.PodStatus) {
	limit := maxMessages / max(1, len(pod.Spec.Containers)+len(pod.Spec.InitContainers)+len(pod.Spec.EphemeralContainers))
	for i := range s.Conditions {
		s.Conditions[i].LastTransitionTime = s.Conditions[i].LastTransitionTime.Rfc3339Copy()
	}
	state := func(st *v1.ContainerState) {
		if st.Running != nil {
			st.Running = st.Running.DeepCopy()
			st.Running.StartedAt = st.Running.StartedAt.Rfc3339Copy()
		}
		if st.Terminated != nil {
			t := st.Terminated.DeepCopy()
			t.StartedAt, t.FinishedAt = t.StartedAt.Rfc3339Copy(), t.FinishedAt.Rfc3339Copy()
			t.Message = t.Message[:min(len(t.Message), limit)]
			st.Terminated = t
		}
	}
	for _, list := range [][]v1.ContainerStatus{s.ContainerStatuses, s.InitContainerStatuses} {
		for i := range list {
			state(&list[i].State)
			state(&list[i].LastTerminationState)
		}
	}
}
