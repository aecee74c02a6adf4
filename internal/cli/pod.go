package cli

import (
	"context"
	"time"

	"github.com/hull-pods/hull/internal/client"
)

// pod is what the CLI reads of a Pod: the server has checked the rest.
type pod struct {
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
		InitContainers []podContainer
		Containers     []podContainer
		Volumes        []podVolume
		NodeSelector   map[string]string
		Tolerations    []struct{ Key, Operator, Value, Effect string }
		RestartPolicy  string
		NodeName       string
		HostNetwork    bool
		Priority       *int64
		ServiceAccount string `json:"serviceAccountName"`
	}
	Status podStatus
}

type podStatus struct {
	Phase, Reason, Message string
	PodIP                  string
	PodIPs, HostIPs        []struct{ IP string }
	StartTime              *time.Time
	QOSClass               string
	Conditions             []struct {
		Type, Status, Reason, Message string
	}
	InitContainerStatuses []containerStatus
	ContainerStatuses     []containerStatus
}

// podVolume is a volume of the kinds that Hull has.
type podVolume struct {
	Name     string
	HostPath *struct{ Path, Type string }
	EmptyDir *struct{ Medium, SizeLimit string }
}

type podContainer struct {
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
	TTY, Stdin bool
}

type containerStatus struct {
	Name, Image, ImageID, ContainerID string
	Ready                             bool
	Started                           *bool
	RestartCount                      int
	State, LastState                  containerState
}

type containerState struct {
	Waiting *struct{ Reason, Message string }
	Running *struct{ StartedAt time.Time }

	Terminated *struct {
		ExitCode              int
		Signal                int
		Reason, Message       string
		StartedAt, FinishedAt time.Time
	}
}

func (p *pod) containerNames() []string {
	var names []string
	for _, c := range p.Spec.InitContainers {
		names = append(names, c.Name)
	}
	for _, c := range p.Spec.Containers {
		names = append(names, c.Name)
	}
	return names
}

// statuses are those of init containers, then those of containers.
func (p *pod) statuses() []containerStatus {
	return append(append([]containerStatus(nil), p.Status.InitContainerStatuses...), p.Status.ContainerStatuses...)
}

func (a *app) pod(ctx context.Context, c *client.Client, name string) (*pod, error) {
	p := &pod{}
	if err := c.Do(ctx, client.Request{Path: a.podPath(name)}, p); err != nil {
		return nil, err
	}
	return p, nil
}
