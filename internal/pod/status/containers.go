package status

import (
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/hull-pods/hull/internal/pod/plan"
)

// Scheme begins the container IDs that a status tells.
const Scheme = "hull://"

// reasonUnknown is the reason of a container whose end nobody saw.
const reasonUnknown = "ContainerStatusUnknown"

// regularStatuses are sorted by name, as the kubelet's are.
func regularStatuses(pod *v1.Pod, seen *plan.Seen) []v1.ContainerStatus {
	list := statuses(pod, seen, pod.Spec.Containers, pod.Status.ContainerStatuses, false)
	slices.SortFunc(list, func(a, b v1.ContainerStatus) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// initStatuses are in the order of the spec.
func initStatuses(pod *v1.Pod, seen *plan.Seen) []v1.ContainerStatus {
	return statuses(pod, seen, pod.Spec.InitContainers, pod.Status.InitContainerStatuses, true)
}

func statuses(pod *v1.Pod, seen *plan.Seen, specs []v1.Container, before []v1.ContainerStatus, init bool) []v1.ContainerStatus {
	list := make([]v1.ContainerStatus, 0, len(specs))
	for i := range specs {
		c := &specs[i]
		var old *v1.ContainerStatus
		if j := slices.IndexFunc(before, func(o v1.ContainerStatus) bool { return o.Name == c.Name }); j >= 0 {
			old = &before[j]
		}
		st := containerStatus(pod, seen, c, old)
		st.VolumeMounts = volumeMounts(c)
		if !init || !inferCompleted(pod, seen, c, &st) {
			waiting(pod, seen, c, &st)
		}
		list = append(list, st)
	}
	return list
}

// containerStatus is what the records of a container say: the newest is its state, the one before it its last state. One
// that is about to start says nothing yet.
func containerStatus(pod *v1.Pod, seen *plan.Seen, c *v1.Container, old *v1.ContainerStatus) v1.ContainerStatus {
	var records []*plan.Container
	for i := range seen.Containers {
		if r := &seen.Containers[i]; r.Name == c.Name && r.State != plan.Created && len(records) < 2 {
			records = append(records, r)
		}
	}
	if len(records) == 0 {
		return noRecord(pod, c, old)
	}
	st := fromRecord(records[0], old)
	if len(records) == 2 {
		st.LastTerminationState = fromRecord(records[1], old).State
	}
	st.Resources = c.Resources.DeepCopy()
	st.AllocatedResources = c.Resources.Requests.DeepCopy()
	return st
}

// noRecord is the status of a container that the runtime does not know: it was never made, or its record is gone. One that
// ran when it was last seen has ended since, nobody knows how.
func noRecord(pod *v1.Pod, c *v1.Container, old *v1.ContainerStatus) v1.ContainerStatus {
	reason := "ContainerCreating"
	if len(pod.Spec.InitContainers) > 0 {
		reason = "PodInitializing"
	}
	st := v1.ContainerStatus{Name: c.Name, Image: c.Image, State: v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason}}}
	if old == nil {
		return st
	}
	if old.State.Terminated != nil {
		return *old.DeepCopy()
	}
	st.RestartCount = old.RestartCount
	st.LastTerminationState = *old.LastTerminationState.DeepCopy()
	if old.State.Running == nil || st.LastTerminationState.Terminated != nil {
		return st
	}
	st.LastTerminationState.Terminated = &v1.ContainerStateTerminated{
		Reason:   reasonUnknown,
		Message:  "The container could not be located when the pod was deleted.  The container used to be Running",
		ExitCode: 137,
	}
	if pod.DeletionTimestamp == nil {
		st.RestartCount++
	}
	return st
}

// fromRecord is the status that one record tells. What went before is taken from the old status: records of all but the last
// dead container are removed.
func fromRecord(r *plan.Container, old *v1.ContainerStatus) v1.ContainerStatus {
	st := v1.ContainerStatus{
		Name: r.Name, RestartCount: int32(r.Attempt), Image: r.ImageName, ImageID: r.ImageRef, ContainerID: Scheme + r.ID,
	}
	if old != nil {
		if old.ContainerID != "" && old.ContainerID != st.ContainerID && st.RestartCount <= old.RestartCount {
			st.RestartCount = old.RestartCount // it counts from the start again: the records before it were removed
			if foundLost(old) == nil {
				st.RestartCount++
			}
		}
		st.RestartCount = max(st.RestartCount, old.RestartCount)
		if t := old.State.Terminated; t != nil && old.ContainerID != st.ContainerID {
			st.LastTerminationState.Terminated = t.DeepCopy()
		} else if t := old.LastTerminationState.Terminated; t != nil {
			st.LastTerminationState.Terminated = t.DeepCopy()
		}
	}
	switch r.State {
	case plan.Running:
		st.State.Running = &v1.ContainerStateRunning{StartedAt: metav1.NewTime(r.StartedAt)}
	case plan.Exited:
		st.State.Terminated = &v1.ContainerStateTerminated{
			ExitCode: int32(r.ExitCode), Reason: r.Reason, Message: r.Message,
			StartedAt: began(r), FinishedAt: metav1.NewTime(r.FinishedAt), ContainerID: st.ContainerID,
		}
	case plan.Unknown:
		lost(&st, old)
	default:
		st.State.Waiting = &v1.ContainerStateWaiting{}
	}
	return st
}

// began is when a container started that has ended. One that never did has started at the beginning of time, as the kubelet tells it.
func began(r *plan.Container) metav1.Time {
	if r.StartedAt.IsZero() {
		return metav1.Unix(0, 0)
	}
	return metav1.NewTime(r.StartedAt)
}

// foundLost is how a container ended that was found lost before: that is told once, and has counted the restart to come.
func foundLost(old *v1.ContainerStatus) *v1.ContainerStateTerminated {
	t := old.State.Terminated
	if t == nil && old.State.Running == nil {
		t = old.LastTerminationState.Terminated // its successor waits
	}
	if t == nil || t.Reason != reasonUnknown {
		return nil
	}
	return t
}

// lost is the state of a container whose end nobody saw, whether or not anybody had seen it run; once told, it stays.
func lost(st, old *v1.ContainerStatus) {
	if old != nil && old.ContainerID == st.ContainerID {
		if t := foundLost(old); t != nil {
			st.State.Terminated = t.DeepCopy()
			return
		}
	}
	st.State.Terminated = &v1.ContainerStateTerminated{
		Reason: reasonUnknown, Message: "The container could not be located when the pod was terminated", ExitCode: 137,
	}
	st.RestartCount++
}

// inferCompleted settles init containers that are through: they are not to be run again, so nothing makes them wait. One
// without a record must have been through if a regular container was created.
func inferCompleted(pod *v1.Pod, seen *plan.Seen, c *v1.Container, st *v1.ContainerStatus) bool {
	last := seen.Newest(c.Name)
	if last != nil {
		return last.State == plan.Exited && last.ExitCode == 0
	}
	if podutil.IsRestartableInitContainer(c) || st.State.Waiting == nil || !seen.AnyRegular(pod) {
		return false
	}
	st.State = v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
		Reason:  "Completed",
		Message: "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally",
	}}
	return true
}

// waiting puts the reason for which a container is not started in the place of how it ended before.
func waiting(pod *v1.Pod, seen *plan.Seen, c *v1.Container, st *v1.ContainerStatus) {
	w, ok := seen.Waiting[c.Name]
	if !ok || !plan.ShouldRestart(c, pod, seen.Newest(c.Name)) && !seen.Replaced(c) {
		return
	}
	if st.State.Terminated != nil {
		st.LastTerminationState = st.State
	}
	st.State = v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: w.Reason, Message: w.Message}}
}

func volumeMounts(c *v1.Container) []v1.VolumeMountStatus {
	var list []v1.VolumeMountStatus
	for _, m := range c.VolumeMounts {
		st := v1.VolumeMountStatus{Name: m.Name, MountPath: m.MountPath, ReadOnly: m.ReadOnly}
		if m.ReadOnly {
			mode := v1.RecursiveReadOnlyDisabled
			if r := m.RecursiveReadOnly; r != nil && *r != v1.RecursiveReadOnlyDisabled {
				mode = v1.RecursiveReadOnlyEnabled // every kernel that Hull runs on can
			}
			st.RecursiveReadOnly = &mode
		}
		list = append(list, st)
	}
	return list
}
