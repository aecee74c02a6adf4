package oci

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/hulltest/golden"
)

func base() Config {
	return Config{
		Hostname:    "web",
		Args:        []string{"/bin/sh", "-c", "id"},
		Env:         []string{"A=1"},
		CgroupsPath: "/hull/poduid/id",
		ShmPath:     "/run/hull/sandboxes/s/shm",
		Namespaces: Namespaces{
			Net: Join("/proc/7/ns/net"), IPC: Join("/proc/7/ns/ipc"), UTS: Join("/proc/7/ns/uts"),
		},
		Mounts: []Mount{
			{Source: "/var/lib/hull/hosts", Destination: "/etc/hosts", GivesWay: true},
			{Source: "/data", Destination: "/data/deep/er", ReadOnly: true},
			{Source: "/data", Destination: "/data"},
		},
	}
}

func userns(c *Config) {
	c.Namespaces.User = Join("/proc/7/ns/user")
	c.UIDMappings = []IDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	c.GIDMappings = []IDMapping{{ContainerID: 0, HostID: 200000, Size: 65536}}
}

// kept are kinds of containers, and what makes each one.
var kept = []struct {
	name string
	set  func(*Config)
}{
	{"default", func(*Config) {}},
	{"bare", func(c *Config) { *c = Config{Args: []string{"true"}} }},
	{"privileged", func(c *Config) {
		c.Privileged = true
		c.CgroupV2 = true
		c.HostDevices = []Device{{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11, FileMode: 0o644}, {Path: "/dev/vda", Type: "b", Major: 254, FileMode: 0o660, GID: 6}}
		c.HostCapabilities = []string{"CAP_CHOWN", "CAP_SYS_ADMIN"}
		c.MaskPaths = []string{"/sys/devices/system/cpu/cpu0/thermal_throttle"}
	}},
	{"readonly", func(c *Config) {
		c.ReadonlyRootfs = true
		c.MaskPaths = []string{"/sys/devices/system/cpu/cpu0/thermal_throttle"}
	}},
	{"tty", func(c *Config) { c.Terminal = true; c.ConsoleSize = &Box{Width: 80, Height: 24} }},
	{"user", func(c *Config) {
		c.UID, c.GID, c.Groups, c.Umask = 1000, 2000, []uint32{3000, 4000}, new(uint32(0o077))
		c.NoNewPrivileges = true
		c.Cwd = "/home/user"
	}},
	{"caps", func(c *Config) {
		c.AddCapabilities, c.DropCapabilities = []string{"net_admin", "CAP_SYS_TIME"}, []string{"ALL", "KILL", "SYS_TIME"}
	}},
	{"shared-pid", func(c *Config) { c.Namespaces.PID = Join("/proc/7/ns/pid"); c.CgroupV2 = true }},
	{"userns", func(c *Config) {
		userns(c)
		c.Mounts[1].IDMapped = true
		c.Namespaces.Net = Namespace{Kind: NamespaceHost}
	}},
	{"limits", func(c *Config) {
		c.Resources = Resources{
			CPUShares: 512, CPUQuota: 50000, CPUPeriod: 100000, Memory: 64 << 20, Swap: 64 << 20, PidsLimit: 100, Cpus: "0-1", Mems: "0",
			HugePages: []HugePage{{"2MB", 4 << 20}}, Unified: map[string]string{"memory.high": "1000"},
			Devices: []DeviceRule{{Allow: false, Type: "c", Major: 10, Minor: 200, Access: "rwm"}},
		}
		c.OOMScoreAdj = new(900)
		c.Rlimits = []Rlimit{{"RLIMIT_NOFILE", 1024, 4096}}
		c.Sysctls = map[string]string{"net.ipv4.ip_unprivileged_port_start": "0", "kernel.shmmax": "1"}
		c.Devices = []Device{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229, Access: "rw"}, {Path: "/dev/pipe", Type: "p"}}
		c.Annotations = map[string]string{"a": "b"}
		c.Hooks = &Hooks{Poststart: []Hook{{Path: "/bin/hook", Args: []string{"hook"}}}}
		c.UnmaskedProc = true
		c.Seccomp.Kind = SeccompUnconfined
	}},
	{"mounts", func(c *Config) {
		c.Namespaces.UTS = Namespace{}
		c.Mounts = []Mount{
			{Source: "/a", Destination: "/dev"},
			{Source: "/shared", Destination: "/shared", Propagation: PropagationHostToContainer},
			{Source: "/both", Destination: "/both", Propagation: PropagationBidirectional},
			{Source: "/deep", Destination: "/x/y", ReadOnly: true, RecursiveReadOnly: true},
			{Source: "/name", Destination: "/etc/hosts", GivesWay: true},
			{Source: "/mine", Destination: "/etc/hosts/"},
			{Type: "tmpfs", Destination: "/tmp", Options: []string{"size=1m", "noexec"}},
		}
	}},
}

func TestGolden(t *testing.T) {
	for _, g := range kept {
		t.Run(g.name, func(t *testing.T) {
			c := base()
			g.set(&c)
			s, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			if p := s.Linux.Seccomp; p != nil {
				// The profile itself is containerd's and depends on the processor.
				if want := seccomp.DefaultProfile(s); !reflect.DeepEqual(p, want) {
					t.Error("the seccomp profile is not containerd's")
				}
				p.Architectures, p.Syscalls = nil, nil
			}
			got, err := json.MarshalIndent(s, "", "\t")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			golden.Check(t, "testdata/"+g.name+".json", got)
		})
	}
}

// TestValuesAreCopied: a spec shares no memory with its Config or with the next spec.
func TestValuesAreCopied(t *testing.T) {
	c := base()
	first, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	first.Process.Args[0] = "changed"
	first.Linux.MaskedPaths[0] = "changed"
	first.Linux.ReadonlyPaths[0] = "changed"
	first.Process.Capabilities.Effective[0] = "changed"
	second, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if second.Process.Args[0] != "/bin/sh" || second.Linux.MaskedPaths[0] == "changed" || second.Linux.ReadonlyPaths[0] == "changed" ||
		second.Process.Capabilities.Bounding[0] == "changed" || first.Process.Capabilities.Bounding[0] == "changed" {
		t.Error("a change of one spec is seen elsewhere")
	}
}

var faults = []struct {
	set  func(*Config)
	want string
}{
	{func(c *Config) { c.Args = nil }, "no command specified"},
	{func(c *Config) { c.Args = []string{"a\x00"} }, `argument "a\x00" has a NUL`},
	{func(c *Config) { c.Env = []string{"=x"} }, `environment "=x" is not NAME=VALUE`},
	{func(c *Config) { c.Env = []string{"X"} }, `environment "X" is not NAME=VALUE`},
	{func(c *Config) { c.Cwd = "tmp" }, `cwd: path "tmp" is not absolute`},
	{func(c *Config) { c.Umask = new(uint32(0o1000)) }, "umask 01000 is above 0777"},
	{func(c *Config) { c.OOMScoreAdj = new(1001) }, "oom score adjustment 1001 is not within -1000 and 1000"},
	{func(c *Config) { c.Hostname = strings.Repeat("x", 65) }, "is longer than 64 bytes"},
	{func(c *Config) { c.AddCapabilities = []string{"FLY"} }, `add capabilities: unknown capability "FLY"`},
	{func(c *Config) { c.DropCapabilities = []string{""} }, `drop capabilities: unknown capability ""`},
	{func(c *Config) { c.AddCapabilities, c.HostCapabilities = []string{"BPF"}, []string{"CAP_KILL"} }, "add capabilities: this host does not have CAP_BPF"},
	{func(c *Config) { c.Namespaces.PID = Namespace{Kind: NamespacePath} }, `pid namespace: path "" is not absolute`},
	{func(c *Config) { c.Namespaces.PID = Namespace{Path: "/x"} }, `pid namespace: path "/x" without kind "path"`},
	{func(c *Config) { c.Namespaces.IPC = Namespace{Kind: "odd"} }, `ipc namespace: unknown kind "odd"`},
	{func(c *Config) { c.Namespaces.User.Kind = NamespaceNew }, "user namespace: no mappings of user and group IDs"},
	{func(c *Config) { c.UIDMappings = []IDMapping{{Size: 1}} }, "mappings of IDs without a user namespace"},
	{func(c *Config) { userns(c); c.UIDMappings[0].Size = 0 }, "user namespace: mapping from 0 to 100000 is empty"},
	{func(c *Config) { userns(c); c.UID = 65536 }, "user 65536 is not mapped in the user namespace"},
	{func(c *Config) { userns(c); c.Groups = []uint32{70000} }, "group 70000 is not mapped in the user namespace"},
	{func(c *Config) { c.Rlimits = []Rlimit{{Type: "NOFILE"}} }, `unknown resource limit "NOFILE"`},
	{func(c *Config) { c.Rlimits = []Rlimit{{"RLIMIT_CPU", 2, 1}} }, "resource limit RLIMIT_CPU: soft limit 2 is above the hard limit 1"},
	{func(c *Config) { c.Rlimits = []Rlimit{{"RLIMIT_CPU", 1, 1}, {"RLIMIT_CPU", 1, 1}} }, "resource limit RLIMIT_CPU is given twice"},
	{func(c *Config) { c.Sysctls = map[string]string{"vm.swappiness": "1"} }, "sysctl vm.swappiness belongs to no namespace"},
	{func(c *Config) { c.Sysctls = map[string]string{"kernel/hostname": "x"} }, "sysctl kernel/hostname: the hostname is a field of its own"},
	{func(c *Config) {
		c.Sysctls = map[string]string{"net.core.somaxconn": "1"}
		c.Namespaces.Net.Kind, c.Namespaces.Net.Path = NamespaceHost, ""
	}, "sysctl net.core.somaxconn: the container has the host's network namespace"},
	{func(c *Config) { c.Sysctls = map[string]string{"user.max_net_namespaces": "1"} }, "the container has the host's user namespace"},
	{func(c *Config) { c.Mounts[0].Destination = "etc" }, `mount on "etc": path "etc" is not absolute`},
	{func(c *Config) { c.Mounts[0].Destination = "/../" }, `mount on "/../": the root is not a mount's`},
	{func(c *Config) { c.Mounts[0].Source = "" }, `mount on "/etc/hosts": source: path "" is not absolute`},
	{func(c *Config) { c.Mounts[0].Propagation = "Sideways" }, `mount on "/etc/hosts": unknown propagation "Sideways"`},
	{func(c *Config) { c.Mounts[0].RecursiveReadOnly = true }, "recursive read-only goes with read-only"},
	{func(c *Config) {
		c.Mounts[1].RecursiveReadOnly = true
		c.Mounts[1].Propagation = PropagationHostToContainer
	}, "recursive read-only goes with no propagation, not HostToContainer"},
	{func(c *Config) { c.Devices = []Device{{Path: "/dev/x", Type: "x"}} }, `device "/dev/x": type "x" is none of c, b, u and p`},
	{func(c *Config) { c.Devices = []Device{{Path: "x", Type: "c"}} }, `device "x": path "x" is not absolute`},
	{func(c *Config) { c.Devices = []Device{{Path: "/dev/x", Type: "c", Access: "rx"}} }, `device "/dev/x": access "rx" has letters other than r, w and m`},
	{func(c *Config) { c.Devices = []Device{{Path: "/dev/x", Type: "c", Minor: -1}} }, `device "/dev/x": number 0:-1 is negative`},
	{func(c *Config) { c.Resources.Devices = []DeviceRule{{Type: "u"}} }, `device rule: type "u" is none of a, b and c`},
	{func(c *Config) { c.Resources.Devices = []DeviceRule{{Major: -2}} }, "device rule: number -2:0 is below -1"},
	{func(c *Config) { c.Resources.Memory, c.Resources.Swap = 2, 1 }, "memory limit 2 is above that of memory and swap together, 1"},
	{func(c *Config) { c.Resources.CPUQuota = -2 }, "cpu quota -2 is below -1"},
	{func(c *Config) { c.Resources.PidsLimit = -2 }, "pids limit -2 is below -1"},
	{func(c *Config) { c.Seccomp.Kind = "Odd" }, `seccomp: unknown kind "Odd"`},
	{func(c *Config) { c.Seccomp.Kind = SeccompLocalhost }, `seccomp: kind "Localhost" without a profile`},
	{func(c *Config) { c.Seccomp.Profile = &LinuxSeccomp{} }, `seccomp: kind "" takes no profile`},
	{func(c *Config) { c.ShmPath = "shm" }, `shm path: path "shm" is not absolute`},
	{func(c *Config) { c.MaskPaths = []string{"x"} }, `masked path: path "x" is not absolute`},
}

func TestFaults(t *testing.T) {
	for _, f := range faults {
		c := base()
		f.set(&c)
		_, err := New(c)
		if err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("error %v, want one with %q", err, f.want)
			continue
		}
		if !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%q is not an invalid argument", err)
		}
	}
}

// TestAllFaultsAreNamed: a user mends a manifest in one go.
func TestAllFaultsAreNamed(t *testing.T) {
	_, err := New(Config{Cwd: "x", Seccomp: Seccomp{Kind: "Odd"}})
	for _, want := range []string{"no command", "cwd", "seccomp"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}

func TestCapabilities(t *testing.T) {
	host := []string{"CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN"}
	for _, tt := range []struct {
		add, drop, host, want []string
	}{
		{nil, nil, host, []string{"CAP_CHOWN", "CAP_KILL"}},
		{[]string{"all"}, nil, host, host},
		{[]string{"ALL"}, []string{"chown"}, host, []string{"CAP_KILL", "CAP_NET_ADMIN"}},
		{[]string{"KILL"}, []string{"ALL"}, host, []string{"CAP_KILL"}},
		{[]string{"ALL"}, []string{"ALL"}, host, []string{}},
		{nil, []string{"KILL"}, host, []string{"CAP_CHOWN"}},
		{nil, nil, nil, defaultCapabilities},
	} {
		got, err := granted(&Config{AddCapabilities: tt.add, DropCapabilities: tt.drop, HostCapabilities: tt.host})
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("add %v drop %v: %v, %v; want %v", tt.add, tt.drop, got, err, tt.want)
		}
	}
}

func TestExecProcess(t *testing.T) {
	c := base()
	c.UID, c.Cwd = 12, "/srv"
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ExecProcess(s, Exec{Args: []string{"ls"}, Terminal: true, Env: []string{"A=2"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"TERM=xterm", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=web", "A=2"}
	if !slices.Equal(p.Env, want) || p.Cwd != "/srv" || p.User.UID != 12 || !p.Terminal || !slices.Equal(p.Args, []string{"ls"}) {
		t.Errorf("process %+v", p)
	}
	if s.Process.Terminal || s.Process.Args[0] != "/bin/sh" || slices.Contains(s.Process.Env, "A=2") {
		t.Errorf("exec changed the container's own process: %+v", s.Process)
	}
	for _, e := range []Exec{{}, {Args: []string{"ls"}, Cwd: "x"}, {Args: []string{"ls"}, Env: []string{"x"}}} {
		if _, err := ExecProcess(s, e); !errors.Is(err, errdefs.ErrInvalidArgument) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

func TestRulesAreTheSpecs(t *testing.T) {
	for _, privileged := range []bool{false, true} {
		c := base()
		c.Privileged = privileged
		c.Devices = []Device{{Path: "/dev/fuse", Type: "c", Major: 10, Minor: 229}, {Path: "/run/pipe", Type: "p"}}
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		got := specRules(Rules(c.Devices, c.Privileged, c.Resources.Devices))
		if want := s.Linux.Resources.Devices; !reflect.DeepEqual(got, want) {
			t.Errorf("rules %v, want %v", got, want)
		}
	}
}
