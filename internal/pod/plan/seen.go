package plan

import (
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
)

// Seen is what the worker knows about the kernel's side of one Pod, and about its own deeds. [Next] and the status are
// computed from it and from the object alone, so it holds every fact that decides.
type Seen struct {
	Sandboxes  []Sandbox   // newest first
	Containers []Container // newest first
	Volumes    Volumes

	// Doing holds the actions that are under way, by [Action.Key]. For a Kill the value is when SIGKILL comes at the latest.
	Doing map[string]time.Time
	// Retry says, by [Action.Key], before which instant an action that failed is not tried again.
	Retry map[string]time.Time
	// Waiting is, by container name, why the last attempt to start it failed: what the container's state tells until an
	// attempt succeeds.
	Waiting map[string]Waiting
	// Pulls is the back-off of each image that could not be pulled, by the image as the Pod writes it.
	Pulls map[string]Backoff
	// Killed is, by container ID, when its kill began.
	Killed map[string]time.Time
	// Ending is when the Pod's end began: what is left of the grace period for containers that wait for their turn counts
	// from then. Zero when nothing runs, or nothing ends.
	Ending time.Time
	// Limited is set for a Pod whose volumes must be measured now and then; Measured is when they were last, and Evicted
	// what was wrong: then the Pod ends.
	Limited  bool
	Measured time.Time
	Evicted  string
	// Draining is set when everything that runs shall end though the Pod is not over: the most that a container has for it.
	Draining time.Duration
	// Orphan is set when the object is gone from the store (deleted by force): everything is removed, nothing is written.
	Orphan bool
}

// Sandbox is one sandbox of the Pod.
type Sandbox struct {
	ID        string
	Attempt   uint32
	Ready     bool // its infra process lives
	Stopped   bool // it was stopped by us, network and all: nothing but its record is left
	IPs       []string
	CreatedAt time.Time
}

// State is a container's state in the words of the kubelet's messages.
type State string

// The states of a container.
const (
	Created State = "created"
	Running State = "running"
	Exited  State = "exited"
	Unknown State = "unknown" // it ran, and nobody could see how it ended
)

// Container is one container of the Pod, dead or alive.
type Container struct {
	ID, SandboxID, Name string
	Attempt             uint32
	Backoff             time.Duration // the delay that its successor will be held to: see [NextBackoff]
	State               State
	CreatedAt           time.Time
	StartedAt           time.Time
	FinishedAt          time.Time
	ExitCode            int
	Reason, Message     string // of an exited one; Message includes the termination message
	Image               string // as the Pod wrote it when the container was made
	ImageName, ImageRef string // normalised, and by digest: for the status
}

// Volumes says how far the Pod's volumes are.
type Volumes string

// The states of the Pod's volumes.
const (
	VolumesUnknown Volumes = ""
	VolumesMade    Volumes = "made"
	VolumesRemoved Volumes = "removed"
)

// Waiting is the reason for which a container does not run though it should.
type Waiting struct {
	Reason, Message string
	At              time.Time
}

// Newest is the latest container of a name, nil when there is none.
func (s *Seen) Newest(name string) *Container {
	i := slices.IndexFunc(s.Containers, func(c Container) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Containers[i]
}

// newestExited is the latest container of a name that has exited.
func (s *Seen) newestExited(name string) *Container {
	i := slices.IndexFunc(s.Containers, func(c Container) bool { return c.Name == name && c.State == Exited })
	if i < 0 {
		return nil
	}
	return &s.Containers[i]
}

// Active is the newest sandbox if it is ready, nil otherwise.
func (s *Seen) Active() *Sandbox {
	if len(s.Sandboxes) == 0 || !s.Sandboxes[0].Ready {
		return nil
	}
	return &s.Sandboxes[0]
}

// newestActive is the latest container of a name in the active sandbox.
func (s *Seen) newestActive(name string) *Container {
	sb := s.Active()
	if sb == nil {
		return nil
	}
	i := slices.IndexFunc(s.Containers, func(c Container) bool { return c.Name == name && c.SandboxID == sb.ID })
	if i < 0 {
		return nil
	}
	return &s.Containers[i]
}

// Replaced tells whether a container was ended by us because its definition has changed. Its successor is started whatever the
// restart policy says.
func (s *Seen) Replaced(c *v1.Container) bool {
	last := s.newestActive(c.Name)
	if last == nil || last.State != Exited || last.Image == c.Image {
		return false
	}
	_, killed := s.Killed[last.ID]
	return killed
}

// ActiveRegular tells whether a regular container was ever created in the active sandbox: then the Pod is initialized.
func (s *Seen) ActiveRegular(pod *v1.Pod) bool {
	for i := range pod.Spec.Containers {
		if s.newestActive(pod.Spec.Containers[i].Name) != nil {
			return true
		}
	}
	return false
}

// AnyRegular tells whether any regular container was created in any sandbox.
func (s *Seen) AnyRegular(pod *v1.Pod) bool {
	for i := range pod.Spec.Containers {
		if c := s.Newest(pod.Spec.Containers[i].Name); c != nil && c.State != Unknown {
			return true
		}
	}
	return false
}

// Stopped tells whether nothing of the Pod runs any more or is about to.
func (s *Seen) Stopped() bool {
	if slices.ContainsFunc(s.Containers, func(c Container) bool { return c.State == Running }) {
		return false
	}
	if slices.ContainsFunc(s.Sandboxes, func(sb Sandbox) bool { return sb.Ready || !sb.Stopped }) {
		return false
	}
	for key := range s.Doing {
		switch kindOf(key) {
		case Start, RunSandbox, MakeVolumes, Kill, StopSandbox:
			return false
		}
	}
	return true
}

// runs tells whether a container of a name runs.
func (s *Seen) runs(name string) bool {
	return slices.ContainsFunc(s.Containers, func(c Container) bool { return c.Name == name && c.State == Running })
}
