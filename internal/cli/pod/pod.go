// Package pod is what the command line reads of Pods, and how their names are written.
package pod

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Pod is what the CLI reads of a Pod: the server has checked the rest.
type Pod struct {
	Metadata struct {
		Name                       string
		Namespace                  string
		UID                        string
		ResourceVersion            string
		Labels, Annotations        map[string]string
		CreationTimestamp          time.Time
		DeletionTimestamp          *time.Time
		DeletionGracePeriodSeconds *int64
	}
	Spec struct {
		InitContainers   []Container
		Containers       []Container
		Volumes          []Volume
		NodeSelector     map[string]string
		Tolerations      []struct{ Key, Operator, Value, Effect string }
		RestartPolicy    string
		NodeName         string
		HostNetwork      bool
		Priority         *int64
		ServiceAccount   string `json:"serviceAccountName"`
		RuntimeClassName string `json:"runtimeClassName"`

		SecurityContext *Security
	}
	Status Status
}

// Ended tells whether nothing of the Pod will ever run again.
func (p *Pod) Ended() bool { return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" }

// Status is what has become of it.
type Status struct {
	Phase, Reason, Message string
	PodIP                  string
	PodIPs, HostIPs        []struct{ IP string }
	StartTime              *time.Time
	QOSClass               string
	Conditions             []struct {
		Type, Status, Reason, Message string
	}
	InitContainerStatuses []ContainerStatus
	ContainerStatuses     []ContainerStatus
}

// Volume is a volume of the kinds that Hull has.
type Volume struct {
	Name     string
	HostPath *struct{ Path, Type string }
	EmptyDir *struct{ Medium, SizeLimit string }
}

// Container is one of its containers, as it was asked for.
type Container struct {
	Name, Image, WorkingDir string
	Command, Args           []string
	RestartPolicy           *string
	Ports                   []struct {
		Name                    string
		ContainerPort, HostPort int
		Protocol                string
	}
	Env []struct {
		Name, Value string
	}
	VolumeMounts []struct {
		Name, MountPath, SubPath string
		ReadOnly                 bool
	}
	Resources struct {
		Limits, Requests map[string]string
	}
	TTY, Stdin      bool
	SecurityContext *Security
}

// Security is a security context.
type Security struct{ SeccompProfile *SeccompProfile }

// SeccompProfile says which system calls there are.
type SeccompProfile struct{ Type, LocalhostProfile string }

// ContainerStatus is what has become of a container.
type ContainerStatus struct {
	Name, Image, ImageID, ContainerID string
	Ready                             bool
	Started                           *bool
	RestartCount                      int
	State, LastState                  State
}

// State is one of three.
type State struct {
	Waiting *struct{ Reason, Message string }
	Running *struct{ StartedAt time.Time }

	Terminated *struct {
		ExitCode              int
		Signal                int
		Reason, Message       string
		StartedAt, FinishedAt time.Time
	}
}

// ContainerNames are those of init containers, then those of containers.
func (p *Pod) ContainerNames() []string {
	var names []string
	for _, c := range p.Spec.InitContainers {
		names = append(names, c.Name)
	}
	for _, c := range p.Spec.Containers {
		names = append(names, c.Name)
	}
	return names
}

// Statuses are those of init containers, then those of containers.
func (p *Pod) Statuses() []ContainerStatus {
	return append(append([]ContainerStatus(nil), p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...)
}

// String is a container's state in a few words.
func (s State) String() string {
	switch {
	case s.Running != nil:
		return "running"
	case s.Terminated != nil:
		t := s.Terminated
		text := fmt.Sprintf("%s (exit code %d)", t.Reason, t.ExitCode)
		if t.Message != "" && t.Reason != "Completed" {
			text += ": " + strings.TrimSpace(t.Message)
		}
		return text
	case s.Waiting != nil && s.Waiting.Message != "":
		return s.Waiting.Reason + ": " + s.Waiting.Message
	case s.Waiting != nil && s.Waiting.Reason != "":
		return s.Waiting.Reason
	default:
		return "waiting"
	}
}

// DefaultContainer chooses among several containers as kubectl does: the one that the Pod's annotation names, else the first,
// of which it tells.
func (p *Pod) DefaultContainer(tell func(format string, args ...any)) string {
	names := p.ContainerNames()
	if named := p.Metadata.Annotations["kubectl.kubernetes.io/default-container"]; slices.Contains(names, named) {
		return named
	}
	first := p.Spec.Containers[0].Name
	if len(names) > 1 {
		tell("Defaulted container %q out of: %s\n", first, p.describeContainers())
	}
	return first
}

// NoContainer is kubectl's answer to a name that none of the Pod's containers has.
func (p *Pod) NoContainer(name string) error {
	return fmt.Errorf("container %s is not valid for pod %s out of: %s", name, p.Metadata.Name, p.describeContainers())
}

func (p *Pod) describeContainers() string {
	var names []string
	for _, c := range p.Spec.Containers {
		names = append(names, c.Name)
	}
	for _, c := range p.Spec.InitContainers {
		names = append(names, c.Name+" (init)")
	}
	return strings.Join(names, ", ")
}
