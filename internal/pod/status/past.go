package status

import (
	"strings"

	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/pod/plan"
)

// Past are containers of which the object alone knows how they ended: the runtime's records are gone since the machine was
// booted. What has succeeded must not be run again for that. Init containers are, in every new sandbox.
func Past(pod *v1.Pod, seen *plan.Seen) []plan.Container {
	if plan.Over(pod, seen) {
		return nil
	}
	var list []plan.Container
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		st := find(pod.Status.ContainerStatuses, c.Name)
		if st == nil || st.State.Terminated == nil || st.ContainerID == "" || seen.Newest(c.Name) != nil {
			continue
		}
		t := st.State.Terminated
		list = append(list, plan.Container{
			ID: strings.TrimPrefix(st.ContainerID, Scheme), Name: c.Name, Attempt: uint32(st.RestartCount), State: plan.Exited,
			CreatedAt: t.StartedAt.Time, StartedAt: t.StartedAt.Time, FinishedAt: t.FinishedAt.Time,
			ExitCode: int(t.ExitCode), Reason: t.Reason, Message: t.Message,
			Image: c.Image, ImageName: st.Image, ImageRef: st.ImageID,
		})
	}
	return list
}
