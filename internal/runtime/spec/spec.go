// Package spec makes one container's OCI spec from its configuration, its image's, and its sandbox's.
package spec

import (
	"fmt"
	"path/filepath"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/namefiles"
	"github.com/hull-pods/hull/internal/runtime/process"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// Host is what specs take from the machine, read once.
type Host struct {
	CgroupV2 bool

	capabilities []string
	maskPaths    []string
	seccomp      oci.SeccompDefaults
}

// ReadHost reads it.
func ReadHost(cgroupV2 bool) (*Host, error) {
	caps, err := oci.HostCapabilities()
	if err != nil {
		return nil, err
	}
	paths, err := oci.HostMaskPaths()
	if err != nil {
		return nil, err
	}
	return &Host{CgroupV2: cgroupV2, capabilities: caps, maskPaths: paths}, nil
}

// Container is what a spec is made from.
type Container struct {
	Config  *record.ContainerConfig
	Image   *image.ImageConfig
	Who     process.Identity
	Cgroup  string // below the hierarchies' root
	Sandbox Sandbox
}

// Sandbox is what a container has of its sandbox.
type Sandbox struct {
	Config    *record.SandboxConfig
	NameFiles string                   // the directory that has them
	Shm       string                   // /dev/shm's
	Namespace func(name string) string // the path by which one of its namespaces is joined
}

// Make makes the spec.
func (h *Host) Make(c Container) (*oci.Spec, error) {
	cfg, img := c.Config, c.Image
	seccomp, err := h.seccompOf(cfg.Seccomp)
	if err != nil {
		return nil, err
	}
	out := oci.Config{
		ReadonlyRootfs: cfg.ReadonlyRootfs, Hostname: namefiles.Hostname(c.Sandbox.Config),
		Args: process.Arguments(cfg.Command, cfg.Args, img), Env: process.Environment(cfg.Env, img, c.Who.Home), Cwd: workingDir(cfg, img), Terminal: cfg.TTY,
		UID: c.Who.UID, GID: c.Who.GID, Groups: c.Who.Groups,
		Privileged: cfg.Privileged, AddCapabilities: cfg.AddCaps, DropCapabilities: cfg.DropCaps,
		HostCapabilities: h.capabilities, NoNewPrivileges: cfg.NoNewPrivileges, Seccomp: seccomp,
		Mounts: mounts(cfg, c.Sandbox.NameFiles), ShmPath: c.Sandbox.Shm, Devices: cfg.Devices,
		Namespaces: namespaces(&c.Sandbox), CgroupV2: h.CgroupV2,
		CgroupsPath: c.Cgroup, Resources: cfg.Resources, OOMScoreAdj: cfg.OOMScoreAdj,
		Rlimits:      openFiles(),
		UnmaskedProc: cfg.UnmaskedProc, MaskPaths: h.maskPaths,
	}
	if len(out.Args) == 0 {
		return nil, fmt.Errorf("no command specified")
	}
	if cfg.Privileged {
		devices, err := oci.HostDevices()
		if err != nil {
			return nil, err
		}
		out.HostDevices = devices
	}
	return oci.New(out)
}

// Join gives the namespaces that a spec joins the paths that they have by now.
func Join(spec *oci.Spec, namespace func(name string) string) {
	for i := range spec.Linux.Namespaces {
		if ns := &spec.Linux.Namespaces[i]; ns.Path != "" {
			ns.Path = namespace(filepath.Base(ns.Path))
		}
	}
}

func (h *Host) seccompOf(s record.Seccomp) (oci.Seccomp, error) {
	out := oci.Seccomp{Kind: oci.SeccompKind(s.Kind), Defaults: &h.seccomp}
	if out.Kind != oci.SeccompLocalhost {
		return out, nil
	}
	var err error
	out.Profile, err = oci.ReadSeccomp(s.Path)
	return out, err
}

func workingDir(cfg *record.ContainerConfig, img *image.ImageConfig) string {
	if cfg.WorkingDir != "" {
		return cfg.WorkingDir
	}
	return img.WorkingDir
}

// namespaces of a container are its sandbox's, but for its own mounts, and its own processes unless they are shared.
func namespaces(s *Sandbox) oci.Namespaces {
	host := oci.Namespace{Kind: oci.NamespaceHost}
	ns := oci.Namespaces{User: host}
	ns.Net, ns.UTS = oci.Join(s.Namespace("net")), oci.Join(s.Namespace("uts"))
	if s.Config.HostNetwork {
		ns.Net, ns.UTS = host, host
	}
	ns.IPC = oci.Join(s.Namespace("ipc"))
	if s.Config.HostIPC {
		ns.IPC = host
	}
	switch {
	case s.Config.HostPID:
		ns.PID = host
	case s.Config.SharePID:
		ns.PID = oci.Join(s.Namespace("pid"))
	}
	return ns
}

func mounts(cfg *record.ContainerConfig, nameFiles string) []oci.Mount {
	list := namefiles.Mounts(nameFiles, cfg.ReadonlyRootfs)
	for _, m := range cfg.Mounts {
		list = append(list, oci.Mount{
			Source: m.Source, Destination: m.Destination, ReadOnly: m.ReadOnly, RecursiveReadOnly: m.RecursiveRO,
			Propagation: oci.Propagation(m.Propagation),
		})
	}
	return list
}
