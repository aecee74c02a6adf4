package record

import (
	"net/netip"
	"time"

	"github.com/hull-pods/hull/internal/network"
)

// SandboxState is CRI's: a sandbox is ready while its infra process lives.
type SandboxState string

const (
	SandboxReady    SandboxState = "SANDBOX_READY"
	SandboxNotReady SandboxState = "SANDBOX_NOTREADY" // its infra process has ended
)

// SandboxStatus is one sandbox as it is now.
type SandboxStatus struct {
	ID        string
	Config    SandboxConfig // as given; not to be changed
	State     SandboxState
	CreatedAt time.Time
	EndedAt   time.Time // when the infra process ended
	PID       int       // of the infra process; 0 when it has ended
	IPs       []netip.Addr
	Interface string            // inside: eth0
	HostVeth  string            // the other end
	Warnings  []network.Warning // of its DNS settings, for whoever asked for them
}

// ContainerState is CRI's.
type ContainerState string

const (
	ContainerCreated ContainerState = "CONTAINER_CREATED" // its command has not run yet
	ContainerRunning ContainerState = "CONTAINER_RUNNING"
	ContainerExited  ContainerState = "CONTAINER_EXITED"  // also one whose start failed
	ContainerUnknown ContainerState = "CONTAINER_UNKNOWN" // it ran, and nobody could see how it ended
)

// Reasons of an exited container, in the words of CRI runtimes.
const (
	ReasonCompleted  = "Completed"
	ReasonError      = "Error"
	ReasonOOMKilled  = "OOMKilled"
	ReasonStartError = "StartError" // it never came to execve; ExitCode is 128

	// ReasonUnknown is that of a container that nobody saw the end of; ExitCode is the kubelet's 137.
	ReasonUnknown = "ContainerStatusUnknown"
	unknownCode   = 137
)

// ContainerStatus is one container as it is now.
type ContainerStatus struct {
	ID        string
	SandboxID string
	Config    ContainerConfig // as given; not to be changed
	State     ContainerState
	CreatedAt time.Time
	StartedAt time.Time
	EndedAt   time.Time
	PID       int // while it runs
	ExitCode  int // 128+n for signal n
	Signal    int
	Reason    string
	Message   string // with ReasonStartError: why
	LogPath   string // absolute
	Cgroup    string // below the hierarchy's root
}
