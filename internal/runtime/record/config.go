package record

import (
	"os"

	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/oci"
)

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

	CgroupParent string        // the Pod's cgroup below the tree's parent: "burstable/pod<UID>"
	Resources    oci.Resources // limits of the Pod's cgroup as a whole
	LogDirectory string        // of the Pod: containers' LogPath is relative to it

	Hostname          string // what uname -n says; empty with HostNetwork
	Domain            string // "<subdomain>.<namespace>.svc.<cluster domain>", for /etc/hosts; may be empty
	SetHostnameAsFQDN bool   // uname -n says Hostname and Domain
	HostAliases       []network.HostAlias
	DNS               network.DNS
	Ports             []network.Port

	HostNetwork, HostPID, HostIPC bool
	SharePID                      bool // shareProcessNamespace: the infra container is PID 1 of all
	Sysctls                       map[string]string
	Handler                       string // runtime handler: "" is the native starter
}

// KernelName is what uname -n says in a sandbox with a network of its own.
func (c *SandboxConfig) KernelName() string {
	if c.SetHostnameAsFQDN && c.Domain != "" {
		return c.Hostname + "." + c.Domain
	}
	return c.Hostname
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
	Devices            []oci.Device
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

	Resources   oci.Resources
	OOMScoreAdj *int
}

// TakeFiles moves the mounts' open files out of the configuration, by destination: the rest is what is recorded.
func (c *ContainerConfig) TakeFiles() map[string]*os.File {
	files := map[string]*os.File{}
	mounts := make([]Mount, len(c.Mounts))
	copy(mounts, c.Mounts)
	for i := range mounts {
		if f := mounts[i].File; f != nil {
			files[mounts[i].Destination] = f
			mounts[i].Source, mounts[i].File = f.Name(), nil
		}
	}
	c.Mounts = mounts
	return files
}
