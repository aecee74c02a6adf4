package oci

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// New makes the spec of a container. It reads nothing from the host; every fault of c is in the error, which is an
// errdefs.ErrInvalidArgument.
func New(c Config) (*Spec, error) {
	if err := check(&c); err != nil {
		return nil, err
	}
	caps, err := granted(&c)
	if err != nil {
		return nil, err
	}
	s := &Spec{
		Version:     specs.Version,
		Root:        &Root{Path: cmp.Or(c.RootPath, "rootfs"), Readonly: c.ReadonlyRootfs},
		Process:     process(&c, caps),
		Mounts:      specMounts(&c),
		Hooks:       c.Hooks,
		Annotations: maps.Clone(c.Annotations),
		Linux: &Linux{
			UIDMappings:       specMappings(c.UIDMappings),
			GIDMappings:       specMappings(c.GIDMappings),
			Sysctl:            maps.Clone(c.Sysctls),
			Resources:         resources(&c),
			CgroupsPath:       c.CgroupsPath,
			Namespaces:        namespaces(&c),
			Devices:           specDevices(devices(&c)),
			RootfsPropagation: rootPropagation(c.Mounts),
		},
	}
	if c.Namespaces.UTS.own() {
		s.Hostname = c.Hostname
	}
	if !c.Privileged && !c.UnmaskedProc {
		s.Linux.MaskedPaths = slices.Concat(maskedPaths, c.MaskPaths)
		s.Linux.ReadonlyPaths = slices.Clone(readonlyPaths)
	}
	s.Linux.Seccomp = seccompProfile(&c, s)
	return s, nil
}

func devices(c *Config) []Device {
	if c.Privileged {
		return slices.Concat(c.HostDevices, c.Devices)
	}
	return c.Devices
}

func resources(c *Config) *LinuxResources {
	r := &LinuxResources{Devices: specRules(deviceRules(c)), Unified: maps.Clone(c.Resources.Unified)}
	cpu := LinuxCPU{Cpus: c.Resources.Cpus, Mems: c.Resources.Mems}
	cpu.Shares, cpu.Quota, cpu.Period = set(c.Resources.CPUShares), set(c.Resources.CPUQuota), set(c.Resources.CPUPeriod)
	if cpu != (LinuxCPU{}) {
		r.CPU = &cpu
	}
	memory := LinuxMemory{Limit: set(c.Resources.Memory), Swap: set(c.Resources.Swap)}
	if memory != (LinuxMemory{}) {
		r.Memory = &memory
	}
	if c.Resources.PidsLimit != 0 {
		r.Pids = &LinuxPids{Limit: new(c.Resources.PidsLimit)}
	}
	for _, h := range c.Resources.HugePages {
		r.HugepageLimits = append(r.HugepageLimits, LinuxHugepageLimit{Pagesize: h.Size, Limit: h.Limit})
	}
	return r
}

// set is a pointer to v, or nil where v is not set.
func set[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func namespaces(c *Config) []LinuxNamespace {
	var out []LinuxNamespace
	add := func(t LinuxNamespaceType, n Namespace) {
		if n.own() {
			out = append(out, LinuxNamespace{Type: t, Path: n.Path})
		}
	}
	add(PIDNamespace, c.Namespaces.PID)
	add(IPCNamespace, c.Namespaces.IPC)
	add(UTSNamespace, c.Namespaces.UTS)
	add(MountNamespace, Namespace{})
	add(NetworkNamespace, c.Namespaces.Net)
	// In a user namespace the tree can be mounted only with a cgroup namespace of its own.
	if c.CgroupV2 && (!c.Privileged || c.Namespaces.userOwn()) {
		add(CgroupNamespace, Namespace{})
	}
	if c.Namespaces.userOwn() {
		add(UserNamespace, c.Namespaces.User)
	}
	return out
}

// own is whether the namespace is another than the host's.
func (n Namespace) own() bool { return n.Kind != NamespaceHost }

func (n Namespaces) userOwn() bool {
	return n.User.Kind == NamespaceNew || n.User.Kind == NamespacePath
}

func specMappings(mappings []IDMapping) []LinuxIDMapping {
	var out []LinuxIDMapping
	for _, m := range mappings {
		out = append(out, LinuxIDMapping(m))
	}
	return out
}

// mapped is whether an ID of the container exists; without a user namespace all do.
func mapped(mappings []IDMapping, id uint32) bool {
	return len(mappings) == 0 || slices.ContainsFunc(mappings, func(m IDMapping) bool {
		return id >= m.ContainerID && uint64(id) < uint64(m.ContainerID)+uint64(m.Size)
	})
}

// invalid is an error about the caller's values.
func invalid(format string, args ...any) error {
	return &invalidError{fmt.Sprintf(format, args...)}
}

// invalidError says what is wrong and is an errdefs.ErrInvalidArgument without that class's words.
type invalidError struct{ text string }

func (e *invalidError) Error() string { return e.text }

func (e *invalidError) Unwrap() error { return errdefs.ErrInvalidArgument }

func check(c *Config) error {
	errs := []error{checkProcess(c), checkNamespaces(c), checkSysctls(c), checkSeccomp(c), checkResources(c.Resources)}
	for _, m := range c.Mounts {
		errs = append(errs, checkMount(m))
	}
	for _, d := range slices.Concat(c.Devices, c.HostDevices) {
		errs = append(errs, checkDevice(d))
	}
	for _, r := range c.Resources.Devices {
		errs = append(errs, checkRule(r))
	}
	for _, p := range c.MaskPaths {
		errs = append(errs, checkPath("masked path", p))
	}
	if c.ShmPath != "" {
		errs = append(errs, checkPath("shm path", c.ShmPath))
	}
	return errors.Join(errs...)
}

func checkPath(what, p string) error {
	if !path.IsAbs(p) {
		return invalid("%s: path %q is not absolute", what, p)
	}
	if strings.ContainsRune(p, 0) {
		return invalid("%s: path %q has a NUL", what, p)
	}
	return nil
}

func checkNamespaces(c *Config) error {
	var errs []error
	for _, n := range []struct {
		name string
		Namespace
	}{
		{"net", c.Namespaces.Net}, {"ipc", c.Namespaces.IPC}, {"uts", c.Namespaces.UTS}, {"pid", c.Namespaces.PID}, {"user", c.Namespaces.User},
	} {
		switch n.Kind {
		case "", NamespaceNew, NamespaceHost:
			if n.Path != "" {
				errs = append(errs, invalid("%s namespace: path %q without kind %q", n.name, n.Path, NamespacePath))
			}
		case NamespacePath:
			errs = append(errs, checkPath(n.name+" namespace", n.Path))
		default:
			errs = append(errs, invalid("%s namespace: unknown kind %q", n.name, n.Kind))
		}
	}
	own := c.Namespaces.userOwn()
	if own && (len(c.UIDMappings) == 0 || len(c.GIDMappings) == 0) {
		errs = append(errs, invalid("user namespace: no mappings of user and group IDs"))
	}
	if !own && len(c.UIDMappings)+len(c.GIDMappings) > 0 {
		errs = append(errs, invalid("mappings of IDs without a user namespace"))
	}
	for _, m := range slices.Concat(c.UIDMappings, c.GIDMappings) {
		if m.Size == 0 {
			errs = append(errs, invalid("user namespace: mapping from %d to %d is empty", m.ContainerID, m.HostID))
		}
	}
	return errors.Join(errs...)
}

func checkResources(r Resources) error {
	var errs []error
	if r.CPUQuota < -1 {
		errs = append(errs, invalid("cpu quota %d is below -1", r.CPUQuota))
	}
	if r.Memory < -1 || r.Swap < -1 {
		errs = append(errs, invalid("memory limit %d or swap limit %d is below -1", r.Memory, r.Swap))
	}
	if r.Swap > 0 && r.Memory > r.Swap {
		errs = append(errs, invalid("memory limit %d is above that of memory and swap together, %d", r.Memory, r.Swap))
	}
	if r.PidsLimit < -1 {
		errs = append(errs, invalid("pids limit %d is below -1", r.PidsLimit))
	}
	return errors.Join(errs...)
}
