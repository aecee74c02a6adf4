package cgroup

import (
	"fmt"

	"github.com/opencontainers/cgroups"
	_ "github.com/opencontainers/cgroups/devices" // the device filter, of which the library's core is kept free
	devices "github.com/opencontainers/cgroups/devices/config"
	"github.com/opencontainers/cgroups/fs"
	"github.com/opencontainers/cgroups/fs2"
)

// Resources are the limits of a group. A zero field is no limit, and is not written.
type Resources struct {
	CPUShares  uint64
	CPUQuota   int64  // µs in each period; -1 is none
	CPUPeriod  uint64 // µs
	Memory     int64
	Swap       int64 // memory and swap together; -1 is none
	PidsLimit  int64
	Cpus, Mems string
	HugePages  []HugePage
	Unified    map[string]string // files of v2, by name
	Devices    []DeviceRule      // none: the parent's rules hold
}

// HugePage is a limit for one size of huge pages, such as "2MB".
type HugePage struct {
	Size  string
	Limit uint64
}

// DeviceRule is one line of the device filter. Type "a" or "" means every device; Major or Minor -1 means any.
type DeviceRule struct {
	Allow        bool
	Type         string
	Major, Minor int64
	Access       string
}

func (r *Resources) empty() bool {
	return r.CPUShares == 0 && r.CPUQuota == 0 && r.CPUPeriod == 0 && r.Memory == 0 && r.Swap == 0 && r.PidsLimit == 0 &&
		r.Cpus == "" && r.Mems == "" && len(r.HugePages) == 0 && len(r.Unified) == 0 && len(r.Devices) == 0
}

// Set writes the limits that are given, and leaves the others as they are.
func (g *Group) Set(r Resources) error {
	if r.empty() {
		return nil
	}
	if err := g.manage(&cgroups.Cgroup{Resources: r.convert(g.t.unified)}, func(m manager, c *cgroups.Cgroup) error {
		return m.Set(c.Resources)
	}); err != nil {
		return fmt.Errorf("set limits of cgroup %s: %w", g.Path(), err)
	}
	return nil
}

// manager is what of the library's two managers is used.
type manager interface {
	Set(*cgroups.Resources) error
	Stats(*cgroups.StatsOptions) (*cgroups.Stats, error)
	GetAllPids() ([]int, error)
}

// manage calls fn with the library's manager of this group, which it makes for a path that exists.
func (g *Group) manage(c *cgroups.Cgroup, fn func(manager, *cgroups.Cgroup) error) error {
	if c.Resources == nil {
		c.Resources = &cgroups.Resources{SkipDevices: true}
	}
	if g.t.unified {
		m, err := fs2.NewManager(c, g.dir(g.t.hierarchies[0]))
		if err != nil {
			return err
		}
		return fn(m, c)
	}
	paths := map[string]string{}
	for _, h := range g.t.hierarchies {
		for _, name := range h.names {
			paths[name] = g.dir(h)
		}
	}
	m, err := fs.NewManager(c, paths)
	if err != nil {
		return err
	}
	return fn(m, c)
}

func (r *Resources) convert(unified bool) *cgroups.Resources {
	out := &cgroups.Resources{
		CpuShares: r.CPUShares, CpuQuota: r.CPUQuota, CpuPeriod: r.CPUPeriod, Memory: r.Memory, MemorySwap: r.Swap,
		CpusetCpus: r.Cpus, CpusetMems: r.Mems, SkipDevices: len(r.Devices) == 0, SkipFreezeOnSet: true,
	}
	if unified {
		out.Unified = r.Unified
		if r.CPUShares != 0 {
			out.CpuWeight = cgroups.ConvertCPUSharesToCgroupV2Value(r.CPUShares)
		}
	}
	if r.PidsLimit != 0 {
		out.PidsLimit = &r.PidsLimit
	}
	for _, h := range r.HugePages {
		out.HugetlbLimit = append(out.HugetlbLimit, &cgroups.HugepageLimit{Pagesize: h.Size, Limit: h.Limit})
	}
	for _, d := range r.Devices {
		kind := devices.WildcardDevice
		if d.Type != "" && d.Type != "a" {
			kind = devices.Type(d.Type[0])
		}
		out.Devices = append(out.Devices, &devices.Rule{
			Type: kind, Major: d.Major, Minor: d.Minor, Permissions: devices.Permissions(d.Access), Allow: d.Allow,
		})
	}
	return out
}
