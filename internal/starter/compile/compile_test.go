package compile

import (
	"testing"

	"errors"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest/golden"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// goldenFacts are those of an imaginary host.
func goldenFacts() Facts {
	return Facts{LastCap: 40, Stdout: true, Stderr: true, Filter: RestFilter(linux.AMD64), Unified: true}
}

func goldenSpec(t *testing.T, c oci.Config) *oci.Spec {
	t.Helper()
	if len(c.Args) == 0 {
		c.Args = []string{"/bin/sh", "-c", "exec serve"}
	}
	c.Env = []string{"SECRET=x"}
	s, err := oci.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestListings holds what is compiled against listings that a reader can follow.
func TestListings(t *testing.T) {
	pod := oci.Namespaces{Net: oci.Join("/p/net"), IPC: oci.Join("/p/ipc"), UTS: oci.Join("/p/uts")}
	podUser := pod
	podUser.User = oci.Join("/p/user")
	podPID := pod
	podPID.PID = oci.Join("/p/pid")
	ids := []oci.IDMapping{{ContainerID: 0, HostID: 200000, Size: 65536}}
	umask, adj := uint32(0o027), 500
	container := func(c oci.Config, change func(*Facts)) func(*testing.T) (*Birth, error) {
		return func(t *testing.T) (*Birth, error) {
			f := goldenFacts()
			if change != nil {
				change(&f)
			}
			return Container(goldenSpec(t, c), f, 1)
		}
	}
	for name, compile := range map[string]func(*testing.T) (*Birth, error){
		"container": container(oci.Config{Namespaces: pod, Args: []string{"serve"}}, nil),
		"volumes": container(oci.Config{Namespaces: pod, ShmPath: "/s/shm", ReadonlyRootfs: true, Mounts: []oci.Mount{
			{Source: "/v/a", Destination: "/data"}, {Source: "/v/b", Destination: "/data/deep/er"}, {Source: "/v/hosts", Destination: "/etc/hosts"},
			{Source: "/v/a", Destination: "/var/run/x"},
		}}, func(f *Facts) {
			f.Files = map[string]bool{"/etc/hosts": true}
			f.Targets = map[string]string{"/var/run/x": "run/x"}
		}),
		"cgroup-v1": container(oci.Config{Namespaces: pod}, func(f *Facts) {
			f.Unified = false
			f.Cgroups = []Hierarchy{{Name: "memory"}, {Name: "cpu,cpuacct", Controllers: []string{"cpu", "cpuacct"}}}
		}),
		"user": container(oci.Config{
			Namespaces: pod, UID: 1000, GID: 1000, Groups: []uint32{5, 7}, Umask: &umask, Cwd: "/srv/app", NoNewPrivileges: true, OOMScoreAdj: &adj,
			Rlimits: []oci.Rlimit{{Type: "RLIMIT_NOFILE", Soft: 1024, Hard: 4096}}, Sysctls: map[string]string{"net.ipv4.ip_forward": "1"},
		}, nil),
		"tty":            container(oci.Config{Namespaces: pod, Terminal: true, ConsoleSize: &oci.Box{Height: 24, Width: 80}}, nil),
		"shared-pid":     container(oci.Config{Namespaces: podPID}, func(f *Facts) { f.FilterFirst = true }),
		"shared-pid-old": container(oci.Config{Namespaces: podPID, NoNewPrivileges: true}, func(f *Facts) { f.OldProc, f.Passage = true, f.Filter }),
		"user-namespace": container(oci.Config{Namespaces: podUser, UIDMappings: ids, GIDMappings: ids}, nil),
		"privileged":     container(oci.Config{Namespaces: pod, Privileged: true}, func(f *Facts) { f.Filter = nil }),
		"hooks": container(oci.Config{Namespaces: pod, Hooks: &oci.Hooks{
			CreateContainer: []oci.Hook{{Path: "/hook"}}, StartContainer: []oci.Hook{{Path: "/hook"}},
		}}, func(f *Facts) { f.Attach = "/bundle/rootfs" }),
		"exec": func(t *testing.T) (*Birth, error) {
			s, f := goldenSpec(t, oci.Config{Namespaces: pod}), goldenFacts()
			f.FilterFirst = true
			return Exec(s, s.Process, f, 2)
		},
		"exec-tty": func(t *testing.T) (*Birth, error) {
			s := goldenSpec(t, oci.Config{Namespaces: pod, NoNewPrivileges: true, UID: 1000, Terminal: true})
			return Exec(s, s.Process, goldenFacts(), 0)
		},
		"infra": func(t *testing.T) (*Birth, error) {
			return Infra(Sandbox{
				Flags: unix.CLONE_NEWNS | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS, JoinNet: true, Hostname: "web",
				Sysctls: map[string]string{"kernel.shm_rmid_forced": "1"},
			}, goldenFacts(), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := compile(t)
			if err != nil {
				t.Fatal(err)
			}
			for _, arch := range []linux.Arch{linux.AMD64, linux.ARM64} {
				if _, err := b.Program.Encode(arch); err != nil {
					t.Error(err)
				}
			}
			golden.Check(t, "testdata/"+name+".birth", b.Program.String())
		})
	}
}

// TestRefusals are specs that ask for what the starter does not do, or for nonsense: never passed over in silence.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*oci.Spec)
		class  error
	}{
		"no process":   {func(s *oci.Spec) { s.Process = nil }, errdefs.ErrInvalidArgument},
		"no linux":     {func(s *oci.Spec) { s.Linux = nil }, errdefs.ErrInvalidArgument},
		"no command":   {func(s *oci.Spec) { s.Process.Args = nil }, errdefs.ErrInvalidArgument},
		"relative cwd": {func(s *oci.Spec) { s.Process.Cwd = "x" }, errdefs.ErrInvalidArgument},
		"apparmor":     {func(s *oci.Spec) { s.Process.ApparmorProfile = "x" }, errdefs.ErrNotImplemented},
		"selinux":      {func(s *oci.Spec) { s.Process.SelinuxLabel = "x" }, errdefs.ErrNotImplemented},
		"scheduler":    {func(s *oci.Spec) { s.Process.Scheduler = &oci.Scheduler{} }, errdefs.ErrNotImplemented},
		"io priority":  {func(s *oci.Spec) { s.Process.IOPriority = &oci.LinuxIOPriority{} }, errdefs.ErrNotImplemented},
		"personality":  {func(s *oci.Spec) { s.Linux.Personality = &oci.LinuxPersonality{} }, errdefs.ErrNotImplemented},
		"time namespace": {func(s *oci.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, oci.LinuxNamespace{Type: oci.TimeNamespace})
		}, errdefs.ErrNotImplemented},
		"same namespace twice": {func(s *oci.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, oci.LinuxNamespace{Type: oci.PIDNamespace})
		}, errdefs.ErrInvalidArgument},
		"no mount namespace": {func(s *oci.Spec) { s.Linux.Namespaces = nil }, errdefs.ErrNotImplemented},
		"mount on the root":  {func(s *oci.Spec) { s.Mounts[0].Destination = "/proc/.." }, errdefs.ErrInvalidArgument},
		"copy up":            {func(s *oci.Spec) { s.Mounts[0].Options = []string{"tmpcopyup"} }, errdefs.ErrInvalidArgument},
		"bind with an option": {func(s *oci.Spec) {
			s.Mounts[0] = oci.SpecMount{Destination: "/x", Source: "/y", Options: []string{"bind", "size=1"}}
		}, errdefs.ErrInvalidArgument},
		"unknown capability": {func(s *oci.Spec) { s.Process.Capabilities.Bounding = []string{"CAP_FLY"} }, errdefs.ErrInvalidArgument},
		"unknown limit":      {func(s *oci.Spec) { s.Process.Rlimits = []oci.POSIXRlimit{{Type: "RLIMIT_X"}} }, errdefs.ErrInvalidArgument},
		"sysctl that climbs": {func(s *oci.Spec) { s.Linux.Sysctl = map[string]string{"net/../../x": "1"} }, errdefs.ErrInvalidArgument},
		"device elsewhere":   {func(s *oci.Spec) { s.Linux.Devices = []oci.LinuxDevice{{Path: "/x", Type: "c"}} }, errdefs.ErrNotImplemented},
		"tty without devpts": {func(s *oci.Spec) { s.Process.Terminal, s.Mounts = true, nil }, errdefs.ErrInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			s := goldenSpec(t, oci.Config{})
			c.change(s)
			if _, err := Container(s, goldenFacts(), 0); !errors.Is(err, c.class) {
				t.Errorf("got %v, want a %v", err, c.class)
			}
		})
	}
}

func TestSysctlFile(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.ip_forward": "net/ipv4/ip_forward", "net/ipv4/conf/eth0.100/x": "net/ipv4/conf/eth0.100/x", "net.ipv4.conf.eth0/100.x": "net/ipv4/conf/eth0.100/x",
	} {
		if got, err := sysctlFile(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A process that enters a PID namespace where others could trace it has given up its rights before it can be seen.
func TestRightsEndBeforeAProcessIsSeen(t *testing.T) {
	s := goldenSpec(t, oci.Config{NoNewPrivileges: true})
	b, err := Exec(s, s.Process, Facts{LastCap: 40, Filter: RestFilter(linux.AMD64)}, 0)
	must(t, err)
	at := map[string]int{}
	for i := 1; i <= b.Program.Len(); i++ {
		at[b.Program.Name(i)] = i
	}
	order := []string{
		"keep others from looking in", "join the container's namespaces", "close everything else", "become the user", "set capabilities",
		"gain no new privileges", "fork into the PID namespace", "load the seccomp filter", StepExec,
	}
	for i, step := range order {
		if at[step] == 0 {
			t.Errorf("no step %q", step)
		}
		if i > 0 && at[order[i-1]] >= at[step] {
			t.Errorf("%q does not come before %q", order[i-1], step)
		}
	}
}
