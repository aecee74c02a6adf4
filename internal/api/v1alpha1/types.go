// Package v1alpha1 is what Hull's own verbs say on the wire: the API group hull.internal/v1alpha1.
//
// It needs nothing but the standard library, so that a client can use it and stay small.
package v1alpha1

import "time"

// GroupVersion is the group and version in paths and objects.
const (
	Group        = "hull.internal"
	Version      = "v1alpha1"
	GroupVersion = Group + "/" + Version
)

// Manifest is the media type of a manifest, YAML or JSON, that is created, or patched over what is there, as kubectl apply does by
// itself: what an annotation says was applied before, and the manifest does not have any more, goes.
const Manifest = "application/vnd.hull.apply+yaml"

// Meta says what an object is.
type Meta struct {
	Kind       string `json:"kind"`
	APIVersion string `json:"apiVersion"`
}

// Of is the Meta of a kind of this group.
func Of(kind string) Meta { return Meta{Kind: kind, APIVersion: GroupVersion} }

// Image is one image that is present and unpacked.
type Image struct {
	Meta
	ID        string      `json:"id"` // digest of its config
	Names     []string    `json:"names,omitempty"`
	Digests   []string    `json:"digests,omitempty"`
	Size      int64       `json:"size"`
	Platform  string      `json:"platform,omitempty"`
	CreatedAt *time.Time  `json:"createdAt,omitempty"`
	PulledAt  *time.Time  `json:"pulledAt,omitempty"`
	Config    ImageConfig `json:"config"`
}

// ImageConfig is what an image says about the processes that run in it.
type ImageConfig struct {
	User         string            `json:"user,omitempty"`
	Env          []string          `json:"env,omitempty"`
	Entrypoint   []string          `json:"entrypoint,omitempty"`
	Cmd          []string          `json:"cmd,omitempty"`
	WorkingDir   string            `json:"workingDir,omitempty"`
	StopSignal   string            `json:"stopSignal,omitempty"`
	Volumes      []string          `json:"volumes,omitempty"`
	ExposedPorts []string          `json:"exposedPorts,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
}

// ImageList is all images, sorted by their first name.
type ImageList struct {
	Meta
	Items []Image `json:"items"`
}

// PullRequest asks for an image. The credentials are kept only while the pull runs.
type PullRequest struct {
	Image         string `json:"image"`
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	IdentityToken string `json:"identityToken,omitempty"`
}

// PullEvent is one line of a pull's answer. Any number of lines with Progress come first; the last line has Image or Error.
type PullEvent struct {
	Progress *Progress `json:"progress,omitempty"`
	Image    *Image    `json:"image,omitempty"`
	Error    *Error    `json:"error,omitempty"`
}

// Progress is the state of a pull, whole each time.
type Progress struct {
	Ref    string  `json:"ref"`
	Digest string  `json:"digest,omitempty"` // once the registry has answered
	Layers []Layer `json:"layers,omitempty"` // once the manifest is there, the lowest first
}

// Layer is one layer's state: Waiting, Downloading, Downloaded, Unpacking or Done.
type Layer struct {
	Digest string `json:"digest"`
	State  string `json:"state"`
	Done   int64  `json:"done"`
	Size   int64  `json:"size"`
}

// Error is what went wrong, in the terms of a Kubernetes Status.
type Error struct {
	Code    int32  `json:"code"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message"`
}

// Sandbox is a Pod as the kernel has it.
type Sandbox struct {
	Meta
	Namespace     string    `json:"namespace"`
	Name          string    `json:"name"`
	UID           string    `json:"uid"`
	ID            string    `json:"id"`
	State         string    `json:"state"` // CRI's: SANDBOX_READY, SANDBOX_NOTREADY
	CreatedAt     time.Time `json:"createdAt"`
	Cgroup        string    `json:"cgroup,omitempty"` // of the Pod as a whole
	IPs           []string  `json:"ips,omitempty"`
	Interface     string    `json:"interface,omitempty"`     // inside
	HostInterface string    `json:"hostInterface,omitempty"` // the other end
	Infra         Process   `json:"infra"`
	Containers    []Process `json:"containers"` // in the order of the manifest, init containers first
	Volumes       []Volume  `json:"volumes,omitempty"`
}

// Process is the first process of a container.
type Process struct {
	Name       string            `json:"name"`
	ID         string            `json:"id"`
	Attempt    uint32            `json:"attempt"`
	State      string            `json:"state"` // CRI's: CONTAINER_RUNNING, …
	PID        int               `json:"pid,omitempty"`
	Cgroup     string            `json:"cgroup,omitempty"`
	Namespaces map[string]uint64 `json:"namespaces,omitempty"` // inode by net, ipc, uts, mnt, pid, user, cgroup
	StartedAt  *time.Time        `json:"startedAt,omitempty"`
	EndedAt    *time.Time        `json:"endedAt,omitempty"`
	ExitCode   *int              `json:"exitCode,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Message    string            `json:"message,omitempty"`
	Image      string            `json:"image,omitempty"`
	LogPath    string            `json:"logPath,omitempty"`
	Birth      string            `json:"birth,omitempty"` // with ?birth=true: the system calls by which it was made
}

// Volume is one of the Pod's volumes: where it is on the host, and where in the containers.
type Volume struct {
	Name   string        `json:"name"`
	Kind   string        `json:"kind"` // as in the manifest: emptyDir, hostPath
	Path   string        `json:"path,omitempty"`
	Mounts []VolumeMount `json:"mounts,omitempty"`
}

// VolumeMount is where a container sees a volume.
type VolumeMount struct {
	Container string `json:"container"`
	Path      string `json:"path"`
	SubPath   string `json:"subPath,omitempty"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
}

// Info says what this Hull is and where it has its things.
type Info struct {
	Meta
	HullVersion string    `json:"version"`
	Node        string    `json:"node"`
	Instance    string    `json:"instance"`
	Root        string    `json:"root"`
	State       string    `json:"state"`
	PID         int       `json:"pid"`
	KeeperPID   int       `json:"keeperPID,omitempty"`
	StartedAt   time.Time `json:"startedAt"`
	Kernel      string    `json:"kernel,omitempty"`
	Cgroups     string    `json:"cgroups,omitempty"` // v1, v2 or hybrid
	Pods        int       `json:"pods"`
	Containers  int       `json:"containers"`
	Images      int       `json:"images"`
	IPv4        string    `json:"ipv4,omitempty"` // the pool
	IPv6        string    `json:"ipv6,omitempty"`
	MemoryBytes int64     `json:"memoryBytes,omitempty"`
}

// CheckReport is what a check found.
type CheckReport struct {
	Meta
	Findings []Finding `json:"findings"`
}

// Finding is one thing that is not as it should be.
type Finding struct {
	What     string `json:"what"`               // "sandbox 3f… has no owner"
	Advice   string `json:"advice,omitempty"`   // the way out, where a person must do it
	Repaired bool   `json:"repaired,omitempty"` // with ?repair=true
	Error    string `json:"error,omitempty"`    // why the repair did not work
}
