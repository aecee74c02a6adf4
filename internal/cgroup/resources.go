package cgroup

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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
func (g *Group) Set(r Resources) error { return g.limit(r, false) }

// limit is Set; a fresh group has no task and no limits yet.
func (g *Group) limit(r Resources, fresh bool) error {
	err := g.unsupported(r)
	if err != nil && g.t.unified {
		// Its parent may be there, and not pass on yet what it has: whoever made it does that next, if ever.
		h := g.t.hierarchies[0]
		if err = g.t.makeParents(h, filepath.Dir(g.dir(h))); err == nil {
			err = g.unsupported(r)
		}
	}
	if err == nil && fresh && !g.t.unified {
		if list := simple(r.Devices); list != nil {
			err = list.setFresh(g.of("devices"))
			r.Devices = nil
		}
	}
	if err == nil && !r.empty() {
		err = g.manage(&cgroups.Cgroup{Resources: r.convert(g.t)}, func(m manager, c *cgroups.Cgroup) error {
			return m.Set(c.Resources)
		})
	}
	if err != nil {
		return fmt.Errorf("set limits of cgroup %s: %w", g.Path(), err)
	}
	return nil
}

// unsupported says which limit this host cannot set.
func (g *Group) unsupported(r Resources) error {
	if len(r.Unified) > 0 && !g.t.unified {
		return fmt.Errorf("%s: this host has cgroup %s, and files are named for v2", slices.Sorted(maps.Keys(r.Unified))[0], g.t.Version())
	}
	have, err := g.controllers()
	if err != nil {
		return err
	}
	for _, need := range []struct {
		controller string
		set        bool
	}{
		{"cpu", r.CPUShares != 0 || r.CPUQuota != 0 || r.CPUPeriod != 0},
		{"memory", r.Memory != 0 || r.Swap != 0},
		{"pids", r.PidsLimit != 0},
		{"cpuset", r.Cpus != "" || r.Mems != ""},
		{"hugetlb", len(r.HugePages) > 0},
		{"devices", len(r.Devices) > 0 && !g.t.unified}, // on v2 the filter is a program, not a controller
	} {
		if need.set && !slices.Contains(have, need.controller) {
			return fmt.Errorf("%s: this host does not offer the %s controller here", g.t.Version(), need.controller)
		}
	}
	return nil
}

// controllers are those that the group has.
func (g *Group) controllers() ([]string, error) {
	var names []string
	for _, h := range g.t.hierarchies {
		names = append(names, h.names...)
	}
	if !g.t.unified {
		return names, nil
	}
	data, err := os.ReadFile(filepath.Join(g.dir(g.t.hierarchies[0]), "cgroup.controllers"))
	return strings.Fields(string(data)), err
}

// setFresh writes the device rules of a group without tasks.
func (l *deviceList) setFresh(dir string) error {
	if l.all {
		return write(filepath.Join(dir, "devices.allow"), "a")
	}
	if err := write(filepath.Join(dir, "devices.deny"), "a"); err != nil {
		return err
	}
	return writeLines(filepath.Join(dir, "devices.allow"), l.allow...)
}

// deviceList is rules that begin with all or none and then allow: those of nearly every container. They can be written to
// a fresh v1 group as they are, where the library reads the list before and after and opens a file for each line.
type deviceList struct {
	all   bool
	allow []string
}

// simple makes the list of rules; nil where they are not of that kind.
func simple(rules []DeviceRule) *deviceList {
	if len(rules) == 0 || !rules[0].all() {
		return nil
	}
	list := &deviceList{all: rules[0].Allow}
	for _, r := range rules[1:] {
		if !r.Allow || r.Type == "" || r.Type == "a" {
			return nil
		}
		list.allow = append(list.allow, fmt.Sprintf("%s %s:%s %s", r.Type, number(r.Major), number(r.Minor), r.Access))
	}
	return list
}

func (r DeviceRule) all() bool {
	return (r.Type == "" || r.Type == "a") && r.Major < 0 && r.Minor < 0 && strings.Contains(r.Access, "r") &&
		strings.Contains(r.Access, "w") && strings.Contains(r.Access, "m")
}

func number(n int64) string {
	if n < 0 {
		return "*"
	}
	return strconv.FormatInt(n, 10)
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

// warm has the library for v1 find out what this kernel calls its files. It does so with the first limits that it sets, and
// keeps that in variables which all of its groups share, and which nothing guards: so it is done before there are several.
func (t *Tree) warm() error {
	if t.unified {
		return nil
	}
	return t.Load("").manage(&cgroups.Cgroup{}, func(m manager, c *cgroups.Cgroup) error { return m.Set(c.Resources) })
}

func (r *Resources) convert(t *Tree) *cgroups.Resources {
	out := &cgroups.Resources{
		CpuShares: r.CPUShares, CpuQuota: r.CPUQuota, CpuPeriod: r.CPUPeriod, Memory: r.Memory, MemorySwap: r.Swap,
		CpusetCpus: r.Cpus, CpusetMems: r.Mems, SkipDevices: len(r.Devices) == 0, SkipFreezeOnSet: true,
	}
	if t.noSwap {
		out.MemorySwap = 0
	}
	if t.unified {
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
