package spec

import (
	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// CgroupResources translates between two packages that may not know each other.
func CgroupResources(r oci.Resources) cgroup.Resources {
	out := cgroup.Resources{
		CPUShares: r.CPUShares, CPUQuota: r.CPUQuota, CPUPeriod: r.CPUPeriod, Memory: r.Memory, Swap: r.Swap,
		PidsLimit: r.PidsLimit, Cpus: r.Cpus, Mems: r.Mems, Unified: r.Unified,
	}
	for _, h := range r.HugePages {
		out.HugePages = append(out.HugePages, cgroup.HugePage{Size: h.Size, Limit: h.Limit})
	}
	return out
}

// Cgroup is what a container's cgroup allows: as its spec says, which need not be made for it.
func Cgroup(c *record.ContainerConfig) cgroup.Resources {
	out := CgroupResources(c.Resources)
	for _, r := range oci.Rules(c.Devices, c.Privileged, c.Resources.Devices) {
		out.Devices = append(out.Devices, cgroup.DeviceRule{Allow: r.Allow, Type: r.Type, Major: r.Major, Minor: r.Minor, Access: r.Access})
	}
	return out
}
