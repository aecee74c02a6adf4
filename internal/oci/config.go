package oci

import "os"

// Config is what one container is to be. The zero value of a field is the default of containerd's CRI plugin; only Args
// must be given.
type Config struct {
	RootPath       string // in the spec; "" is "rootfs", relative to the bundle
	ReadonlyRootfs bool
	Hostname       string // $HOSTNAME, and the UTS namespace's name when that is new

	Args        []string
	Env         []string // later entries win; $PATH, $HOSTNAME and, on a terminal, $TERM are added where they are missing
	Cwd         string   // "" is "/"
	Terminal    bool
	ConsoleSize *Box

	UID, GID uint32
	Groups   []uint32 // additional ones
	Umask    *uint32  // nil is 0022

	Privileged       bool     // all of the host's capabilities and devices, nothing masked, no seccomp
	AddCapabilities  []string // "NET_ADMIN", "CAP_NET_ADMIN" or "ALL"
	DropCapabilities []string // applied after the added ones, except ALL
	HostCapabilities []string // those that this host can give, from HostCapabilities; nil is all that are known
	NoNewPrivileges  bool
	Seccomp          Seccomp

	Mounts      []Mount  // besides the default ones, which they replace where they have the same destination
	ShmPath     string   // directory to bind on /dev/shm; "" is a tmpfs of the container's own
	ShmSize     int64    // of that tmpfs; 0 is 64 MiB
	Devices     []Device // besides the default ones
	HostDevices []Device // all of the host's, from HostDevices; a privileged container gets them

	Namespaces               Namespaces
	UIDMappings, GIDMappings []IDMapping // of the user namespace, whether new or joined
	CgroupV2                 bool        // the host has the unified hierarchy: an unprivileged container, or one in a user namespace, gets a cgroup namespace

	CgroupsPath string
	Resources   Resources
	OOMScoreAdj *int
	Rlimits     []Rlimit
	Sysctls     map[string]string

	UnmaskedProc bool     // procMount: Unmasked
	MaskPaths    []string // to hide besides the default ones, from HostMaskPaths

	Hooks       *Hooks
	Annotations map[string]string
}

// NamespaceKind says where a container's namespace comes from.
type NamespaceKind string

// The kinds. The zero value means New, but Host for the user namespace.
const (
	NamespaceNew  NamespaceKind = "new"
	NamespaceHost NamespaceKind = "host"
	NamespacePath NamespaceKind = "path"
)

// Namespace is one namespace of a container.
type Namespace struct {
	Kind NamespaceKind
	Path string // of the namespace to join, for NamespacePath
}

// Join is the namespace at path.
func Join(path string) Namespace { return Namespace{Kind: NamespacePath, Path: path} }

// Namespaces of a container. The mount namespace is always new, the cgroup namespace follows from the host.
type Namespaces struct {
	Net, IPC, UTS, PID, User Namespace
}

// IDMapping maps Size IDs from ContainerID on to the host's from HostID on.
type IDMapping struct {
	ContainerID, HostID, Size uint32
}

// Propagation of mounts between host and container, in Kubernetes' words.
type Propagation string

// The three propagations; "" is PropagationNone.
const (
	PropagationNone            Propagation = "None"
	PropagationHostToContainer Propagation = "HostToContainer"
	PropagationBidirectional   Propagation = "Bidirectional"
)

// Mount is one mount of a container: a recursive bind of a host path unless Type says otherwise.
type Mount struct {
	Source            string
	Destination       string
	Type              string // "" is bind; else a file system such as tmpfs
	ReadOnly          bool
	RecursiveReadOnly bool // read-only all the way down; wants ReadOnly and no propagation
	Propagation       Propagation
	IDMapped          bool     // owners are mapped through the container's user namespace
	GivesWay          bool     // left out where another mount has the same destination
	Options           []string // any others, as mount(8) writes them
}

// Device is a device node of a container and what its processes may do with it.
type Device struct {
	Path         string // in the container
	Type         string // "c", "b", "u" or "p"
	Major, Minor int64
	FileMode     os.FileMode // 0 is 0666
	UID, GID     uint32
	Access       string // of the device cgroup: letters of "rwm"; "" is "rwm"
}

// DeviceRule is one line of the device cgroup. Type "a" or "" means every device; Major or Minor -1 means any.
type DeviceRule struct {
	Allow        bool
	Type         string
	Major, Minor int64
	Access       string
}

// Rlimit is one resource limit, by its name in getrlimit(2).
type Rlimit struct {
	Type       string // "RLIMIT_NOFILE"
	Soft, Hard uint64
}

// HugePage is a limit for one size of huge pages, such as "2MB".
type HugePage struct {
	Size  string
	Limit uint64
}

// Resources of a container's cgroup. A zero field is no limit, and is not written.
type Resources struct {
	CPUShares  uint64
	CPUQuota   int64  // µs in each period; -1 is none
	CPUPeriod  uint64 // µs
	Memory     int64
	Swap       int64 // memory and swap together; -1 is none
	PidsLimit  int64
	Cpus, Mems string
	HugePages  []HugePage
	Unified    map[string]string // files of cgroup v2, by name
	Devices    []DeviceRule      // after those that New makes for the default and given devices
}

// SeccompKind is the kind of a seccomp profile, in Kubernetes' words.
type SeccompKind string

// The kinds; "" is SeccompRuntimeDefault.
const (
	SeccompRuntimeDefault SeccompKind = "RuntimeDefault"
	SeccompUnconfined     SeccompKind = "Unconfined"
	SeccompLocalhost      SeccompKind = "Localhost"
)

// Seccomp names a container's profile. Profile is that of SeccompLocalhost, from ReadSeccomp.
type Seccomp struct {
	Kind     SeccompKind
	Profile  *LinuxSeccomp
	Defaults *SeccompDefaults // where the default profile is remembered; nil makes it anew
}
