package runtime

import (
	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/leftover"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

// What sandboxes and containers shall be, and are, in the words of their records.
type (
	Owner           = record.Owner
	SandboxConfig   = record.SandboxConfig
	SandboxState    = record.SandboxState
	SandboxStatus   = record.SandboxStatus
	ContainerConfig = record.ContainerConfig
	ContainerState  = record.ContainerState
	ContainerStatus = record.ContainerStatus
	Mount           = record.Mount
	Seccomp         = record.Seccomp
)

// The values of the types above: see [record].
const (
	OwnerAPI = record.OwnerAPI
	OwnerCRI = record.OwnerCRI

	SandboxReady    = record.SandboxReady
	SandboxNotReady = record.SandboxNotReady

	ContainerCreated = record.ContainerCreated
	ContainerRunning = record.ContainerRunning
	ContainerExited  = record.ContainerExited
	ContainerUnknown = record.ContainerUnknown

	ReasonCompleted  = record.ReasonCompleted
	ReasonError      = record.ReasonError
	ReasonOOMKilled  = record.ReasonOOMKilled
	ReasonStartError = record.ReasonStartError
	ReasonUnknown    = record.ReasonUnknown
)

// The words of the packages below that callers need to speak to a Runtime.
type (
	Resources  = oci.Resources
	Device     = oci.Device
	Port       = network.Port
	DNS        = network.DNS
	DNSOption  = network.DNSOption
	HostAlias  = network.HostAlias
	Warning    = network.Warning
	LogOptions = logs.Options
	Streams    = streams.Streams
	Size       = streams.Size
	Leftover   = leftover.Leftover
)

// MissingClusterDNS is the reason of a warning.
const MissingClusterDNS = network.MissingClusterDNS

// EventType tells what happened.
type EventType string

const (
	ContainerEnded EventType = "container ended"
	SandboxEnded   EventType = "sandbox ended" // its infra process died; its containers still may run
	LogStalled     EventType = "log stalled"   // the container's output waits: its log cannot be written
)

// Event is sent to the owner of the sandbox. It names what to look at; the state is in the status.
type Event struct {
	Type        EventType
	SandboxID   string
	ContainerID string // but with SandboxEnded
}
