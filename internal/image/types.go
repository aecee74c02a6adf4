package image

import (
	"log/slog"
	"time"

	"github.com/hull-pods/hull/internal/image/registry"
)

// Config says where a [Store] lives and how it talks to registries.
type Config struct {
	// Root is the directory of content, snapshots and metadata; it is made when it is missing.
	Root string
	// RegistryConfig is a directory in containerd's certs.d form: HOST/hosts.toml, with _default for every other host. It
	// is read at each pull, so that a change needs no restart; a directory that does not exist is an empty one.
	RegistryConfig string
	// Platform is the platform whose images are chosen, as "linux/arm64"; empty is the host's own.
	Platform string
	// Stall is how long a registry may send no byte before the pull fails; 0 is 30 seconds.
	Stall time.Duration
	// KeepPartial is how long the blobs of a pull that failed are kept, so that the next one goes on where it ended; 0 is an
	// hour, and less than 0 is not at all.
	KeepPartial time.Duration
	// Log gets what has no caller to return it to. It is required.
	Log *slog.Logger
}

// Image is one image that is present, complete and unpacked.
type Image struct {
	// ID is the digest of the image's config, "sha256:…": the same for every name of the same image.
	ID string
	// Names are the normalised tags, "docker.io/library/nginx:latest", sorted.
	Names []string
	// Digests are the normalised references by digest, "docker.io/library/nginx@sha256:…", sorted.
	Digests []string
	// Size is what the image's manifest, config and packed layers take, in bytes.
	Size int64
	// Config is what the image says about the processes that run in it.
	Config ImageConfig
	// Platform is the one that the image was made for, "linux/amd64".
	Platform string
	// CreatedAt is when the image was made; zero when it does not say.
	CreatedAt time.Time
	// PulledAt is when it came into this store.
	PulledAt time.Time
}

// ImageConfig is the part of an OCI image's config that a container starts from.
type ImageConfig struct {
	User         string
	Env          []string
	Entrypoint   []string
	Cmd          []string
	WorkingDir   string
	StopSignal   string
	Volumes      []string // sorted
	ExposedPorts []string // sorted, "80/tcp"
	Labels       map[string]string
}

// Credentials are a registry's: a user with a password, or a token by itself.
type Credentials = registry.Credentials

// PullOptions are what one pull may choose.
type PullOptions struct {
	Credentials *Credentials
	// Progress is called, never from two goroutines at once, when something has changed, at most some ten times a second,
	// and once at the end. It must not block for long.
	Progress func(Progress)
}

// Progress is the state of a pull, whole each time: the last one is all that a reader needs.
type Progress struct {
	// Ref is the normalised reference that is being pulled.
	Ref string
	// Digest is the manifest's (or index's) digest; empty until the registry has answered.
	Digest string
	// Layers are in the order of the manifest, the lowest first; empty until the manifest is here.
	Layers []LayerProgress
}

// LayerProgress is one layer's state.
type LayerProgress struct {
	Digest string
	State  LayerState
	// Done and Size count packed bytes while the layer is downloaded and while it is unpacked.
	Done, Size int64
}

// LayerState is what happens to a layer, in this order.
type LayerState string

// The states of a layer.
const (
	LayerWaiting     LayerState = "Waiting"
	LayerDownloading LayerState = "Downloading"
	LayerDownloaded  LayerState = "Downloaded"
	LayerUnpacking   LayerState = "Unpacking"
	LayerDone        LayerState = "Done"
)
