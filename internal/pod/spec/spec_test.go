package spec

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/runtime"
)

var options = Options{LogRoot: "/logs", SeccompRoot: "/profiles", ClusterDomain: "cluster.local", PodMaxPIDs: 100, MemoryCapacity: 1 << 30, CountsSwap: true}

func podOf(names ...string) *v1.Pod {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", UID: "u"}}
	for _, n := range names {
		pod.Spec.Containers = append(pod.Spec.Containers, v1.Container{Name: n, Image: "img"})
	}
	return pod
}

// give sets a container's resources from "cpu=1 memory=2Gi", requests then limits.
func give(c *v1.Container, requests, limits string) {
	list := func(s string) v1.ResourceList {
		if s == "" {
			return nil
		}
		l := v1.ResourceList{}
		for f := range strings.FieldsSeq(s) {
			name, value, _ := strings.Cut(f, "=")
			l[v1.ResourceName(name)] = resource.MustParse(value)
		}
		return l
	}
	c.Resources = v1.ResourceRequirements{Requests: list(requests), Limits: list(limits)}
}

// TestPortsOfSidecars: they are the Pod's too, those of other init containers are not.
func TestPortsOfSidecars(t *testing.T) {
	pod, always := podOf("a"), v1.ContainerRestartPolicyAlways
	port := func(inside, host int32) v1.ContainerPort {
		return v1.ContainerPort{ContainerPort: inside, HostPort: host, Protocol: v1.ProtocolTCP}
	}
	pod.Spec.Containers[0].Ports = []v1.ContainerPort{port(80, 8080)}
	pod.Spec.InitContainers = []v1.Container{
		{Name: "once", Ports: []v1.ContainerPort{port(70, 7070)}},
		{Name: "sidecar", RestartPolicy: &always, Ports: []v1.ContainerPort{port(90, 9090), port(81, 8080), port(91, 0)}},
	}
	cfg, err := Sandbox(pod, 0, &options)
	if err != nil {
		t.Fatal(err)
	}
	want := []runtime.Port{{HostPort: 8080, ContainerPort: 80, Protocol: "TCP"}, {HostPort: 9090, ContainerPort: 90, Protocol: "TCP"}}
	if !slices.Equal(cfg.Ports, want) {
		t.Errorf("ports %+v, want %+v", cfg.Ports, want)
	}
}

func TestSandbox(t *testing.T) {
	pod := podOf("a", "b")
	yes := true
	pod.Spec.Hostname, pod.Spec.Subdomain = "web", "sub"
	pod.Spec.ShareProcessNamespace = &yes
	pod.Spec.DNSPolicy = v1.DNSNone
	pod.Spec.DNSConfig = &v1.PodDNSConfig{Nameservers: []string{"192.0.2.53"}, Searches: []string{"example.com"}, Options: []v1.PodDNSConfigOption{{Name: "ndots"}}}
	pod.Spec.HostAliases = []v1.HostAlias{{IP: "192.0.2.7", Hostnames: []string{"seven"}}}
	pod.Spec.SecurityContext = &v1.PodSecurityContext{Sysctls: []v1.Sysctl{{Name: "net.ipv4.conf.eno2/100.rp_filter", Value: "1"}, {Name: "net/ipv4/conf/eno2.200/rp_filter", Value: "2"}}}
	pod.Spec.Containers[0].Ports = []v1.ContainerPort{{ContainerPort: 80, HostPort: 8080, Protocol: v1.ProtocolTCP, HostIP: "127.0.0.1"}, {ContainerPort: 81, Protocol: v1.ProtocolTCP}}
	pod.Spec.Containers[1].Ports = []v1.ContainerPort{{ContainerPort: 53, HostPort: 53, Protocol: v1.ProtocolUDP}}
	cfg, err := Sandbox(pod, 3, &options)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Owner != runtime.OwnerAPI || cfg.Attempt != 3 || cfg.LogDirectory != "/logs/ns_p_u" || cfg.CgroupParent != "besteffort/podu" {
		t.Errorf("%+v", cfg)
	}
	if cfg.Hostname != "web" || cfg.Domain != "sub.ns.svc.cluster.local" || !cfg.SharePID {
		t.Errorf("hostname %q domain %q", cfg.Hostname, cfg.Domain)
	}
	if cfg.DNS.Policy != "None" || !slices.Equal(cfg.DNS.Servers, []string{"192.0.2.53"}) || cfg.DNS.Options[0].Name != "ndots" || cfg.HostAliases[0].Hostnames[0] != "seven" {
		t.Errorf("names %+v %+v", cfg.DNS, cfg.HostAliases)
	}
	if len(cfg.Ports) != 2 || cfg.Ports[0].HostIP.String() != "127.0.0.1" || cfg.Ports[0].HostPort != 8080 || cfg.Ports[1].Protocol != "UDP" {
		t.Errorf("ports %+v", cfg.Ports)
	}
	if want := map[string]string{"net.ipv4.conf.eno2/100.rp_filter": "1", "net.ipv4.conf.eno2/200.rp_filter": "2"}; !reflect.DeepEqual(cfg.Sysctls, want) {
		t.Errorf("sysctls %v", cfg.Sysctls)
	}
	pod.Spec.HostNetwork = true
	if cfg, err = Sandbox(pod, 0, &options); err != nil || cfg.Hostname != "" {
		t.Errorf("on the host's network: %q %v", cfg.Hostname, err)
	}
}

func TestHostnames(t *testing.T) {
	yes := true
	long := strings.Repeat("a", 62) + "-" + strings.Repeat("b", 20)
	for _, tc := range []struct {
		name      string
		edit      func(*v1.Pod)
		want, err string
	}{
		{"the Pod's", func(*v1.Pod) {}, "p", ""},
		{"cut, and not after a dash", func(p *v1.Pod) { p.Name = long }, long[:62], ""},
		{"fully qualified", func(p *v1.Pod) { p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = "s", &yes }, "p.s.ns.svc.cluster.local", ""},
		{"of 64 bytes", func(p *v1.Pod) { p.Name, p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = long[:41], "s", &yes }, long[:41] + ".s.ns.svc.cluster.local", ""},
		{"without a domain there is no FQDN", func(p *v1.Pod) { p.Spec.SetHostnameAsFQDN = &yes }, "p", ""},
		{"too long", func(p *v1.Pod) { p.Name, p.Spec.Subdomain, p.Spec.SetHostnameAsFQDN = long, "s", &yes }, "",
			"failed to construct FQDN from pod hostname and cluster domain, FQDN " + long[:62] + ".s.ns.svc.cluster.local is too long (64 characters is the max, 85 characters requested)"},
		{"not a label", func(p *v1.Pod) { p.Spec.Hostname = "a.b" }, "", `pod Hostname "a.b" is not a valid DNS label: `},
		{"nor the subdomain", func(p *v1.Pod) { p.Spec.Subdomain = "A" }, "", `pod Subdomain "A" is not a valid DNS label: `},
	} {
		pod := podOf("a")
		tc.edit(pod)
		cfg, err := Sandbox(pod, 0, &options)
		if tc.err != "" {
			if err == nil || !strings.HasPrefix(err.Error(), tc.err) {
				t.Errorf("%s: %v, want %s", tc.name, err, tc.err)
			}
			continue
		}
		kernel := cfg.Hostname
		if cfg.SetHostnameAsFQDN {
			kernel += "." + cfg.Domain
		}
		if err != nil || kernel != tc.want {
			t.Errorf("%s: %q %v, want %q", tc.name, kernel, err, tc.want)
		}
	}
}

func TestResources(t *testing.T) {
	for _, tc := range []struct {
		name             string
		requests, limits string
		container, pod   runtime.Resources
		cgroup           string
		score            int
	}{
		{"nothing", "", "", runtime.Resources{CPUShares: 2}, runtime.Resources{CPUShares: 2, PidsLimit: 100}, "besteffort/podu", 1000},
		{"guaranteed", "cpu=500m memory=64Mi", "cpu=500m memory=64Mi",
			runtime.Resources{CPUShares: 512, CPUQuota: 50_000, CPUPeriod: 100_000, Memory: 64 << 20, Swap: 64 << 20},
			runtime.Resources{CPUShares: 512, CPUQuota: 50_000, CPUPeriod: 100_000, Memory: 64 << 20, PidsLimit: 100}, "podu", -997},
		{"a request", "cpu=250m memory=512Mi", "", runtime.Resources{CPUShares: 256}, runtime.Resources{CPUShares: 256, PidsLimit: 100}, "burstable/podu", 500},
		{"a limit is a request too", "", "cpu=1", runtime.Resources{CPUShares: 1024, CPUQuota: 100_000, CPUPeriod: 100_000},
			runtime.Resources{CPUShares: 2, CPUQuota: 100_000, CPUPeriod: 100_000, PidsLimit: 100}, "burstable/podu", 999},
		{"the least", "cpu=1m", "cpu=1m", runtime.Resources{CPUShares: 2, CPUQuota: 1000, CPUPeriod: 100_000},
			runtime.Resources{CPUShares: 2, CPUQuota: 1000, CPUPeriod: 100_000, PidsLimit: 100}, "burstable/podu", 999},
		{"all of the memory", "memory=4Gi", "", runtime.Resources{CPUShares: 2}, runtime.Resources{CPUShares: 2, PidsLimit: 100}, "burstable/podu", 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pod := podOf("a")
			give(&pod.Spec.Containers[0], tc.requests, tc.limits)
			if got := containerResources(&pod.Spec.Containers[0], &options); !reflect.DeepEqual(got, tc.container) {
				t.Errorf("container %+v, want %+v", got, tc.container)
			}
			if got := podResources(pod, &options); !reflect.DeepEqual(got, tc.pod) {
				t.Errorf("Pod %+v, want %+v", got, tc.pod)
			}
			if got := CgroupParent(pod); got != tc.cgroup {
				t.Errorf("cgroup %s", got)
			}
			if got := oomScore(pod, &pod.Spec.Containers[0], options.MemoryCapacity); got != tc.score {
				t.Errorf("score %d, want %d", got, tc.score)
			}
		})
	}
}

func TestPodLimitsNeedAllContainers(t *testing.T) {
	pod := podOf("a", "b")
	give(&pod.Spec.Containers[0], "cpu=100m", "cpu=1 memory=64Mi")
	give(&pod.Spec.Containers[1], "", "memory=64Mi")
	if got := podResources(pod, &options); got.CPUQuota != 0 || got.Memory != 128<<20 {
		t.Errorf("%+v", got)
	}
}

func TestSidecarsScore(t *testing.T) {
	always := v1.ContainerRestartPolicyAlways
	pod := podOf("a")
	give(&pod.Spec.Containers[0], "memory=512Mi", "")
	pod.Spec.InitContainers = []v1.Container{{Name: "s", RestartPolicy: &always}}
	if got := oomScore(pod, &pod.Spec.InitContainers[0], 1<<30); got != 500 {
		t.Errorf("score %d, want that of the container that it serves", got)
	}
}

var img = image.Image{ID: "sha256:1", Names: []string{"docker.io/library/alias:1", "docker.io/library/img:latest"},
	Digests: []string{"docker.io/library/alias@sha256:2", "docker.io/library/img@sha256:2"}, Config: image.ImageConfig{User: "1000:5"}}

func TestContainer(t *testing.T) {
	pod := podOf("a")
	no, yes := false, true
	pod.Spec.SecurityContext = &v1.PodSecurityContext{FSGroup: new(int64(7)), SupplementalGroups: []int64{8, 9}, RunAsGroup: new(int64(6))}
	c := &pod.Spec.Containers[0]
	c.Env = []v1.EnvVar{{Name: "X", Value: "1"}}
	c.Command, c.Args = []string{"sh"}, []string{"-c", "echo $(X)"}
	c.WorkingDir, c.TTY, c.Stdin = "/w", true, true
	c.TerminationMessagePolicy = v1.TerminationMessageFallbackToLogsOnError
	c.SecurityContext = &v1.SecurityContext{AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Privileged: &no,
		Capabilities: &v1.Capabilities{Add: []v1.Capability{"NET_ADMIN", "CAP_SYS_TIME"}, Drop: []v1.Capability{"ALL"}}}
	cfg, err := Container(pod, c, Run{Attempt: 2, Backoff: 20 * time.Second, Image: img, Termination: "/t"}, &options)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.LogPath != "a/2.log" || cfg.ImageID != "sha256:1" || cfg.Args[1] != "echo 1" || cfg.Env[0] != "X=1" || cfg.WorkingDir != "/w" || !cfg.TTY || !cfg.Stdin {
		t.Errorf("%+v", cfg)
	}
	if cfg.RunAsUser != nil || cfg.User != "1000:5" || *cfg.RunAsGroup != 6 || !slices.Equal(cfg.SupplementalGroups, []int64{7, 8, 9}) {
		t.Errorf("user %q %v groups %v", cfg.User, cfg.RunAsUser, cfg.SupplementalGroups)
	}
	if !cfg.NoNewPrivileges || !cfg.ReadonlyRootfs || cfg.Privileged || !slices.Equal(cfg.AddCaps, []string{"NET_ADMIN", "SYS_TIME"}) || !slices.Equal(cfg.DropCaps, []string{"ALL"}) {
		t.Errorf("%+v", cfg)
	}
	if cfg.Seccomp.Kind != "RuntimeDefault" {
		t.Errorf("seccomp %+v", cfg.Seccomp)
	}
	want := Notes{Backoff: 20 * time.Second, ImageName: "docker.io/library/img:latest", ImageRef: "docker.io/library/img@sha256:2", Termination: "/t", FallbackToLogs: true}
	if got := ReadNotes(&cfg); got != want {
		t.Errorf("notes %+v, want %+v", got, want)
	}
}

func TestRunAsNonRoot(t *testing.T) {
	yes := true
	for _, tc := range []struct {
		image     string
		user      *int64
		wantError string
	}{
		{"1000", nil, ""},
		{"1000:0", nil, ""},
		{"0", new(int64(5)), ""},
		{"", new(int64(0)), `container's runAsUser breaks non-root policy (pod: "p_ns(u)", container: a)`},
		{"", nil, `container has runAsNonRoot and image will run as root (pod: "p_ns(u)", container: a)`},
		{"0", nil, `container has runAsNonRoot and image will run as root (pod: "p_ns(u)", container: a)`},
		{"nginx:nginx", nil, `container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user is non-root (pod: "p_ns(u)", container: a)`},
		{"4294967295", nil, `container has runAsNonRoot and image has an invalid user id (4294967295). (Must be 1-(2147483647)): must be between 0 and 2147483647, inclusive (pod: "p_ns(u)", container: a)`},
	} {
		pod := podOf("a")
		pod.Spec.SecurityContext = &v1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: tc.user}
		_, err := Container(pod, &pod.Spec.Containers[0], Run{Image: image.Image{Config: image.ImageConfig{User: tc.image}}}, &options)
		if got := errText(err); got != tc.wantError {
			t.Errorf("image %q, runAsUser %v: %s, want %s", tc.image, tc.user, got, tc.wantError)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestSeccomp(t *testing.T) {
	local, up := "dir/p.json", "../p.json"
	profile := func(kind v1.SeccompProfileType, path *string) *v1.SeccompProfile {
		return &v1.SeccompProfile{Type: kind, LocalhostProfile: path}
	}
	for _, tc := range []struct {
		pod, container *v1.SeccompProfile
		want           runtime.Seccomp
		err            string
	}{
		{nil, nil, runtime.Seccomp{Kind: "RuntimeDefault"}, ""},
		{profile(v1.SeccompProfileTypeUnconfined, nil), nil, runtime.Seccomp{Kind: "Unconfined"}, ""},
		{profile(v1.SeccompProfileTypeUnconfined, nil), profile(v1.SeccompProfileTypeRuntimeDefault, nil), runtime.Seccomp{Kind: "RuntimeDefault"}, ""},
		{nil, profile(v1.SeccompProfileTypeLocalhost, &local), runtime.Seccomp{Kind: "Localhost", Path: "/profiles/dir/p.json"}, ""},
		{nil, profile(v1.SeccompProfileTypeLocalhost, nil), runtime.Seccomp{}, "localhostProfile must be set if seccompProfile type is Localhost."},
		{nil, profile(v1.SeccompProfileTypeLocalhost, &up), runtime.Seccomp{}, `localhostProfile "../p.json" must be a path below the directory of profiles`},
	} {
		pod := podOf("a")
		pod.Spec.SecurityContext = &v1.PodSecurityContext{SeccompProfile: tc.pod}
		pod.Spec.Containers[0].SecurityContext = &v1.SecurityContext{SeccompProfile: tc.container}
		got, err := seccompOf(pod, &pod.Spec.Containers[0], "/profiles")
		if got != tc.want || errText(err) != tc.err {
			t.Errorf("%+v %v, want %+v %s", got, err, tc.want, tc.err)
		}
	}
}

func TestImageNames(t *testing.T) {
	for _, tc := range []struct {
		wanted    string
		image     image.Image
		name, ref string
	}{
		{"img", img, "docker.io/library/img:latest", "docker.io/library/img@sha256:2"},
		{"alias:1", img, "docker.io/library/alias:1", "docker.io/library/alias@sha256:2"},
		{"sha256:1", img, "docker.io/library/alias:1", "docker.io/library/alias@sha256:2"},
		{"localhost:5000/x", image.Image{ID: "sha256:3", Names: []string{"localhost:5000/x:latest"}, Digests: []string{"localhost:5000/x@sha256:4"}}, "localhost:5000/x:latest", "localhost:5000/x@sha256:4"},
		{"loaded", image.Image{ID: "sha256:3"}, "loaded", "sha256:3"},
	} {
		if name, ref := imageNames(tc.wanted, &tc.image); name != tc.name || ref != tc.ref {
			t.Errorf("%s: %s %s, want %s %s", tc.wanted, name, ref, tc.name, tc.ref)
		}
	}
}
