package spec

import (
	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/oci"
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

// CgroupRules translates device rules in the same way.
func CgroupRules(rules []oci.DeviceRule) []cgroup.DeviceRule {
	out := make([]cgroup.DeviceRule, len(rules))
	for i, r := range rules {
		out[i] = cgroup.DeviceRule{Allow: r.Allow, Type: r.Type, Major: r.Major, Minor: r.Minor, Access: r.Access}
	}
	return out
}
