package runtime

import (
	"fmt"
	"path/filepath"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/process"
)

// nameFiles are made once a Pod, and mounted into each of its containers unless a volume stands there.
var nameFiles = []struct{ name, destination string }{
	{"resolv.conf", "/etc/resolv.conf"},
	{"hosts", "/etc/hosts"},
	{"hostname", "/etc/hostname"},
}

// makeSpec turns a container's configuration, its image's, and its sandbox into an OCI spec.
func (c *container) makeSpec(cfg *ContainerConfig, img *image.ImageConfig, who process.Identity) (*oci.Spec, error) {
	sandbox := c.in.config()
	seccomp := oci.Seccomp{Kind: oci.SeccompKind(cfg.Seccomp.Kind)}
	if seccomp.Kind == oci.SeccompLocalhost {
		profile, err := oci.ReadSeccomp(cfg.Seccomp.Path)
		if err != nil {
			return nil, err
		}
		seccomp.Profile = profile
	}
	out := oci.Config{
		ReadonlyRootfs: cfg.ReadonlyRootfs, Hostname: c.in.hostname(),
		Args: process.Arguments(cfg.Command, cfg.Args, img), Env: process.Environment(cfg.Env, img, who.Home), Cwd: workingDir(cfg, img), Terminal: cfg.TTY,
		UID: who.UID, GID: who.GID, Groups: who.Groups,
		Privileged: cfg.Privileged, AddCapabilities: cfg.AddCaps, DropCapabilities: cfg.DropCaps,
		HostCapabilities: c.r.host.capabilities, NoNewPrivileges: cfg.NoNewPrivileges, Seccomp: seccomp,
		Mounts: c.mounts(cfg), ShmPath: c.in.shm(), Devices: cfg.Devices,
		Namespaces: c.namespaces(sandbox), CgroupV2: c.r.cfg.Cgroups.Unified(),
		CgroupsPath: c.r.cfg.Cgroups.Load(c.cgroup()).Path(), Resources: cfg.Resources, OOMScoreAdj: cfg.OOMScoreAdj,
		Rlimits:      openFiles(),
		UnmaskedProc: cfg.UnmaskedProc, MaskPaths: c.r.host.maskPaths,
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

func (c *ContainerConfig) user() process.User {
	return process.User{Spec: c.User, RunAsUser: c.RunAsUser, RunAsGroup: c.RunAsGroup, SupplementalGroups: c.SupplementalGroups}
}

func workingDir(cfg *ContainerConfig, img *image.ImageConfig) string {
	if cfg.WorkingDir != "" {
		return cfg.WorkingDir
	}
	return img.WorkingDir
}

// namespaces of a container are its sandbox's, but for its own mounts, and its own processes unless they are shared.
func (c *container) namespaces(s *SandboxConfig) oci.Namespaces {
	host := oci.Namespace{Kind: oci.NamespaceHost}
	ns := oci.Namespaces{User: host}
	ns.Net, ns.UTS = oci.Join(c.in.namespace("net")), oci.Join(c.in.namespace("uts"))
	if s.HostNetwork {
		ns.Net, ns.UTS = host, host
	}
	ns.IPC = oci.Join(c.in.namespace("ipc"))
	if s.HostIPC {
		ns.IPC = host
	}
	switch {
	case s.HostPID:
		ns.PID = host
	case s.SharePID:
		ns.PID = oci.Join(c.in.namespace("pid"))
	}
	return ns
}

func (c *container) mounts(cfg *ContainerConfig) []oci.Mount {
	var list []oci.Mount
	for _, f := range nameFiles {
		list = append(list, oci.Mount{
			Source: filepath.Join(c.r.dir.sandbox(c.in.id), f.name), Destination: f.destination,
			ReadOnly: cfg.ReadonlyRootfs, GivesWay: true,
		})
	}
	for _, m := range cfg.Mounts {
		list = append(list, oci.Mount{
			Source: m.Source, Destination: m.Destination, ReadOnly: m.ReadOnly, RecursiveReadOnly: m.RecursiveRO,
			Propagation: oci.Propagation(m.Propagation),
		})
	}
	return list
}

// host is what specs take from the machine, read once.
type host struct {
	capabilities []string
	maskPaths    []string
}

func readHost() (host, error) {
	caps, err := oci.HostCapabilities()
	if err != nil {
		return host{}, err
	}
	paths, err := oci.HostMaskPaths()
	if err != nil {
		return host{}, err
	}
	return host{capabilities: caps, maskPaths: paths}, nil
}
