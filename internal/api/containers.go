package api

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// containerOf is the container of a Pod that a request means: the named one, or the only one.
func containerOf(pod *corev1.Pod, name string) (string, error) {
	names := containerNames(pod)
	switch {
	case name != "" && slices.Contains(names, name):
		return name, nil
	case name != "":
		return "", badRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
	case len(pod.Spec.Containers) == 1:
		return pod.Spec.Containers[0].Name, nil
	}
	return "", badRequest(fmt.Sprintf("a container name must be specified for pod %s, choose one of: %s", pod.Name, names))
}

// defaultContainerAnnotation is kubectl's.
const defaultContainerAnnotation = "kubectl.kubernetes.io/default-container"

// defaultContainer chooses as kubectl does: the container that the Pod's annotation names, else the first, of which it tells if
// there are others.
func defaultContainer(pod *corev1.Pod) (name, tell string) {
	names := containerNames(pod)
	if named := pod.Annotations[defaultContainerAnnotation]; slices.Contains(names, named) {
		return named, ""
	}
	name = pod.Spec.Containers[0].Name
	if len(names) == 1 {
		return name, ""
	}
	var all []string
	for _, c := range pod.Spec.Containers {
		all = append(all, c.Name)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		all = append(all, c.Name+" (ephem)")
	}
	for _, c := range pod.Spec.InitContainers {
		all = append(all, c.Name+" (init)")
	}
	return name, fmt.Sprintf("Defaulted container %q out of: %s", name, strings.Join(all, ", "))
}

// containerNames has the init containers first, as Kubernetes names them.
func containerNames(pod *corev1.Pod) (names []string) {
	for _, c := range pod.Spec.InitContainers {
		names = append(names, c.Name)
	}
	for _, c := range pod.Spec.Containers {
		names = append(names, c.Name)
	}
	for _, c := range pod.Spec.EphemeralContainers {
		names = append(names, c.Name)
	}
	return names
}

func statusFor(pod *corev1.Pod, container string) (corev1.ContainerStatus, bool) {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for _, st := range list {
			if st.Name == container {
				return st, true
			}
		}
	}
	return corev1.ContainerStatus{}, false
}

// bareID takes the runtime's name off a container ID: hull://ID.
func bareID(id string) string {
	if _, bare, ok := strings.Cut(id, "://"); ok {
		return bare
	}
	return id
}

// running is the ID of a container that runs now.
func running(pod *corev1.Pod, container string) (string, bool) {
	st, ok := statusFor(pod, container)
	if !ok || st.State.Running == nil {
		return "", false
	}
	return bareID(st.ContainerID), true
}

// logged is the ID of the container whose log a request means: the one that runs, or the one that ended last; with
// previous, the one before. The words are the kubelet's.
func logged(pod *corev1.Pod, container string, previous bool) (string, error) {
	st, ok := statusFor(pod, container)
	if !ok {
		return "", badRequest(fmt.Sprintf("container %q in pod %q is not available", container, pod.Name))
	}
	ended := func(t *corev1.ContainerStateTerminated) bool { return t != nil && t.ContainerID != "" }
	last, now := st.LastTerminationState.Terminated, st.State
	switch {
	case previous && !ended(last):
		return "", badRequest(fmt.Sprintf("previous terminated container %q in pod %q not found", container, pod.Name))
	case previous:
		return bareID(last.ContainerID), nil
	case now.Running != nil:
		return bareID(st.ContainerID), nil
	case ended(now.Terminated):
		return bareID(now.Terminated.ContainerID), nil
	case ended(last):
		return bareID(last.ContainerID), nil
	case now.Terminated != nil || last != nil:
		return "", badRequest(fmt.Sprintf("container %q in pod %q is terminated", container, pod.Name))
	case now.Waiting == nil:
		return "", badRequest(fmt.Sprintf("container %q in pod %q is waiting to start - no logs yet", container, pod.Name))
	}
	why := now.Waiting.Reason
	switch why {
	case "ErrImagePull":
		why = "image can't be pulled"
	case "ImagePullBackOff":
		why = "trying and failing to pull image"
	}
	return "", badRequest(fmt.Sprintf("container %q in pod %q is waiting to start: %s", container, pod.Name, why))
}
