package runtime

import (
	"net/netip"
	"os"
	"time"

	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/streams"
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
)

// MissingClusterDNS is the reason of a warning.
const MissingClusterDNS = network.MissingClusterDNS

// Seccomp names a container's filter: RuntimeDefault ("" too), Unconfined, or Localhost with the path of a profile in
// Docker's JSON form.
type Seccomp struct {
	Kind string
	Path string
}

// Owner says who made a sandbox. Owners do not meet: each lists, and is told of, its own alone.
type Owner string

const (
	OwnerAPI Owner = "api" // Hull's own Pods
	OwnerCRI Owner = "cri" // a kubelet's
)

// SandboxConfig is what a Pod's sandbox shall be.
type SandboxConfig struct {
	Owner                Owner
	Namespace, Name, UID string
	Attempt              uint32 // 0 for the first sandbox of a Pod
	Labels, Annotations  map[string]string

	CgroupParent string    // the Pod's cgroup below the tree's parent: "burstable/pod<UID>"
	Resources    Resources // limits of the Pod's cgroup as a whole
	LogDirectory string    // of the Pod: containers' LogPath is relative to it

	Hostname          string // what uname -n says; empty with HostNetwork
	Domain            string // "<subdomain>.<namespace>.svc.<cluster domain>", for /etc/hosts; may be empty
	SetHostnameAsFQDN bool   // uname -n says Hostname and Domain
	HostAliases       []HostAlias
	DNS               DNS
	Ports             []Port

	HostNetwork, HostPID, HostIPC bool
	SharePID                      bool // shareProcessNamespace: the infra container is PID 1 of all
	Sysctls                       map[string]string
	Handler                       string // runtime handler: "" is the native starter
}

// SandboxState is CRI's: a sandbox is ready while its infra process lives.
type SandboxState string

const (
	SandboxReady    SandboxState = "SANDBOX_READY"
	SandboxNotReady SandboxState = "SANDBOX_NOTREADY"
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
	Interface string    // inside: eth0
	HostVeth  string    // the other end
	Warnings  []Warning // of its DNS settings, for whoever asked for them
}

// Mount is one bind mount of a volume, or of a single file, into a container.
type Mount struct {
	Source      string   // host path, followed as root would
	File        *os.File `json:"-"` // instead of Source: what is mounted, already opened and checked (O_PATH is enough). The runtime closes it
	Destination string   // absolute, in the container
	ReadOnly    bool
	RecursiveRO bool   // read-only for submounts too (kernel >= 5.12)
	Propagation string // "" or "None", "HostToContainer", "Bidirectional"
}

// ContainerConfig is what one container of a sandbox shall be. Command, Args, Env and WorkingDir are merged with the
// image's own as Kubernetes does it: Command replaces Entrypoint and drops Cmd, Args replaces Cmd.
type ContainerConfig struct {
	Name                string
	Attempt             uint32 // restart count
	Labels, Annotations map[string]string

	Image   string // as the user wrote it, for status
	ImageID string // the image.Image's ID: "sha256:…"

	Command, Args, Env []string // Env as "NAME=value"
	WorkingDir         string
	Stdin, StdinOnce   bool
	TTY                bool
	LogPath            string // relative to the sandbox's LogDirectory: "main/0.log"
	Mounts             []Mount
	Devices            []Device
	StopSignal         string // "" takes the image's, or SIGTERM

	User               string // from the image when empty: "user[:group]" by name or number
	RunAsUser          *int64
	RunAsGroup         *int64
	SupplementalGroups []int64

	Privileged      bool
	AddCaps         []string // without CAP_; "ALL"
	DropCaps        []string
	NoNewPrivileges bool
	ReadonlyRootfs  bool
	UnmaskedProc    bool
	Seccomp         Seccomp

	Resources   Resources
	OOMScoreAdj *int
}

// ContainerState is CRI's.
type ContainerState string

const (
	ContainerCreated ContainerState = "CONTAINER_CREATED"
	ContainerRunning ContainerState = "CONTAINER_RUNNING"
	ContainerExited  ContainerState = "CONTAINER_EXITED"
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
