package spec

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/process"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// of is a container of a sandbox, whose namespaces are at /ns.
func of(c record.ContainerConfig, s record.SandboxConfig, img image.ImageConfig) Container {
	return Container{
		Config: &c, Image: &img, Who: process.Identity{UID: 7, GID: 8, Home: "/home/x"}, Cgroup: "/hull/pod/c",
		Sandbox: Sandbox{Config: &s, NameFiles: "/files", Shm: "/pod/shm", Namespace: func(name string) string { return "/ns/" + name }},
	}
}

func host(t *testing.T) *Host {
	t.Helper()
	h, err := ReadHost(true)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestJoin: only what a spec joins has another path when its sandbox is there.
func TestJoin(t *testing.T) {
	s, err := host(t).Make(of(record.ContainerConfig{Args: []string{"x"}}, record.SandboxConfig{}, image.ImageConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	Join(s, func(name string) string { return "/now/" + name })
	paths := map[string]string{}
	for _, n := range s.Linux.Namespaces {
		paths[string(n.Type)] = n.Path
	}
	for kind, want := range map[string]string{"ipc": "/now/ipc", "network": "/now/net", "uts": "/now/uts", "mount": "", "pid": ""} {
		if paths[kind] != want {
			t.Errorf("%s: %q, want %q", kind, paths[kind], want)
		}
	}
}

// TestNamespaces: which of them a container joins, has for its own (new), and shares with the host (not there).
func TestNamespaces(t *testing.T) {
	for name, c := range map[string]struct {
		sandbox record.SandboxConfig
		want    string
	}{
		"default":      {record.SandboxConfig{}, "ipc=/ns/ipc mount=new network=/ns/net pid=new uts=/ns/uts"},
		"shared PIDs":  {record.SandboxConfig{SharePID: true}, "ipc=/ns/ipc mount=new network=/ns/net pid=/ns/pid uts=/ns/uts"},
		"host network": {record.SandboxConfig{HostNetwork: true}, "ipc=/ns/ipc mount=new pid=new"},
		"host IPC":     {record.SandboxConfig{HostIPC: true}, "mount=new network=/ns/net pid=new uts=/ns/uts"},
		"host PIDs":    {record.SandboxConfig{HostPID: true, SharePID: true}, "ipc=/ns/ipc mount=new network=/ns/net uts=/ns/uts"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := host(t).Make(of(record.ContainerConfig{Args: []string{"x"}}, c.sandbox, image.ImageConfig{}))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, ns := range s.Linux.Namespaces {
				if path := ns.Path; ns.Type != oci.CgroupNamespace {
					if path == "" {
						path = "new"
					}
					got = append(got, string(ns.Type)+"="+path)
				}
			}
			slices.Sort(got)
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

// TestMerge: what the configuration says goes before what the image says.
func TestMerge(t *testing.T) {
	img := image.ImageConfig{Entrypoint: []string{"entry"}, Cmd: []string{"cmd"}, WorkingDir: "/image", Env: []string{"A=image", "B=image"}}
	s, err := host(t).Make(of(record.ContainerConfig{Args: []string{"arg"}, Env: []string{"A=own"}}, record.SandboxConfig{Hostname: "web"}, img))
	if err != nil {
		t.Fatal(err)
	}
	p := s.Process
	if !slices.Equal(p.Args, []string{"entry", "arg"}) || p.Cwd != "/image" || p.User.UID != 7 || p.User.GID != 8 {
		t.Errorf("the process is %+v", p)
	}
	for _, want := range []string{"A=own", "B=image", "HOME=/home/x"} {
		if !slices.Contains(p.Env, want) {
			t.Errorf("no %s in %v", want, p.Env)
		}
	}
	if i := slices.IndexFunc(p.Rlimits, func(r oci.POSIXRlimit) bool { return r.Type == "RLIMIT_NOFILE" }); i < 0 || p.Rlimits[i].Soft > softFiles {
		t.Errorf("limits %+v", p.Rlimits)
	}
	if s.Linux.CgroupsPath != "/hull/pod/c" {
		t.Errorf("cgroup %s", s.Linux.CgroupsPath)
	}
}

// TestMounts: a volume takes the place of a name file; the others stay.
func TestMounts(t *testing.T) {
	cfg := record.ContainerConfig{Args: []string{"x"}, Mounts: []record.Mount{{Source: "/volume", Destination: "/etc/hosts", ReadOnly: true}}}
	s, err := host(t).Make(of(cfg, record.SandboxConfig{}, image.ImageConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, m := range s.Mounts {
		got[m.Destination] = append(got[m.Destination], m.Source)
	}
	for destination, want := range map[string]string{"/etc/hosts": "/volume", "/etc/hostname": "/files/hostname", "/etc/resolv.conf": "/files/resolv.conf", "/dev/shm": "/pod/shm"} {
		if !slices.Equal(got[destination], []string{want}) {
			t.Errorf("on %s there is %v, want %s", destination, got[destination], want)
		}
	}
}

func TestRefused(t *testing.T) {
	missing := record.Seccomp{Kind: "Localhost", Path: filepath.Join(t.TempDir(), "none.json")}
	for want, c := range map[string]record.ContainerConfig{
		"no command specified":      {},
		"no such file or directory": {Args: []string{"x"}, Seccomp: missing},
	} {
		if _, err := host(t).Make(of(c, record.SandboxConfig{}, image.ImageConfig{})); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestCgroup: a container's cgroup has the limits and the device rules of its spec.
func TestCgroup(t *testing.T) {
	cfg := record.ContainerConfig{Resources: oci.Resources{
		CPUShares: 512, Memory: 1 << 20, PidsLimit: 9, HugePages: []oci.HugePage{{Size: "2MB", Limit: 4 << 20}},
	}}
	r := Cgroup(&cfg)
	if r.CPUShares != 512 || r.Memory != 1<<20 || r.PidsLimit != 9 || len(r.HugePages) != 1 || r.HugePages[0].Limit != 4<<20 {
		t.Errorf("%+v", r)
	}
	privileged := cfg
	privileged.Privileged = true
	if all := Cgroup(&privileged).Devices; len(r.Devices) < 2 || r.Devices[0].Allow || len(all) == 0 || !all[len(all)-1].Allow {
		t.Errorf("device rules %+v, privileged %+v", r.Devices, all)
	}
}
