// Package spec turns a Pod's spec into the plain values that the runtime takes, by the kubelet's rules.
//
// Everything here is a pure function: what is read from the host comes in [Options], what is opened is the worker's.
package spec

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/component-helpers/node/util/sysctl"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/hull-pods/hull/internal/runtime"
)

// Options are the host's part.
type Options struct {
	LogRoot        string // Pods' logs are below it, as log collectors expect
	SeccompRoot    string // Localhost profiles are relative to it
	ClusterDomain  string // of a Pod's FQDN: "cluster.local"
	PodMaxPIDs     int64  // processes of one Pod; 0 or less is no limit
	MemoryCapacity int64  // of the machine, for the OOM score
	CgroupV2       bool
	CountsSwap     bool // so that swap can have a limit
}

// Labels by which containers and sandboxes are known to tools that look at a node, as the kubelet sets them.
const (
	labelPodName       = "io.kubernetes.pod.name"
	labelPodNamespace  = "io.kubernetes.pod.namespace"
	labelPodUID        = "io.kubernetes.pod.uid"
	labelContainerName = "io.kubernetes.container.name"
)

// LogDirectory is where the logs of a Pod's containers are.
func (o *Options) LogDirectory(pod *v1.Pod) string {
	return filepath.Join(o.LogRoot, strings.Join([]string{pod.Namespace, pod.Name, string(pod.UID)}, "_"))
}

// LogPath is a container's log below that.
func LogPath(container string, attempt uint32) string {
	return filepath.Join(container, fmt.Sprintf("%d.log", attempt))
}

// Sandbox is the sandbox that a Pod wants.
func Sandbox(pod *v1.Pod, attempt uint32, o *Options) (runtime.SandboxConfig, error) {
	cfg := runtime.SandboxConfig{
		Owner: runtime.OwnerAPI, Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), Attempt: attempt,
		Labels:       map[string]string{labelPodName: pod.Name, labelPodNamespace: pod.Namespace, labelPodUID: string(pod.UID)},
		CgroupParent: CgroupParent(pod), Resources: podResources(pod, o), LogDirectory: o.LogDirectory(pod),
		HostNetwork: pod.Spec.HostNetwork, HostPID: pod.Spec.HostPID, HostIPC: pod.Spec.HostIPC,
		SharePID: isTrue(pod.Spec.ShareProcessNamespace) && !pod.Spec.HostPID,
		DNS:      dns(pod, o), Sysctls: sysctls(pod),
	}
	if class := pod.Spec.RuntimeClassName; class != nil {
		cfg.Handler = *class
	}
	hostname, domain, err := names(pod, o.ClusterDomain)
	if err != nil {
		return cfg, err
	}
	cfg.Domain = domain
	if !pod.Spec.HostNetwork {
		cfg.Hostname, cfg.SetHostnameAsFQDN = hostname, domain != "" && isTrue(pod.Spec.SetHostnameAsFQDN)
	}
	if cfg.SetHostnameAsFQDN {
		if err := checkFQDN(hostname + "." + domain); err != nil {
			return cfg, err
		}
	}
	for _, a := range pod.Spec.HostAliases {
		cfg.HostAliases = append(cfg.HostAliases, runtime.HostAlias{IP: a.IP, Hostnames: a.Hostnames})
	}
	if cfg.Ports, err = ports(pod); err != nil {
		return cfg, err
	}
	return cfg, nil
}

// names are the Pod's name for itself, and the domain that it is in, if any.
func names(pod *v1.Pod, clusterDomain string) (hostname, domain string, err error) {
	hostname = pod.Name
	if h := pod.Spec.Hostname; h != "" {
		if msgs := validation.IsDNS1123Label(h); len(msgs) != 0 {
			return "", "", fmt.Errorf("pod Hostname %q is not a valid DNS label: %s", h, strings.Join(msgs, ";"))
		}
		hostname = h
	}
	const most = 63 // of the 64 bytes that the kernel has, one ends the string
	if len(hostname) > most {
		hostname = strings.TrimRight(hostname[:most], "-.")
	}
	if s := pod.Spec.Subdomain; s != "" {
		if msgs := validation.IsDNS1123Label(s); len(msgs) != 0 {
			return "", "", fmt.Errorf("pod Subdomain %q is not a valid DNS label: %s", s, strings.Join(msgs, ";"))
		}
		domain = fmt.Sprintf("%s.%s.svc.%s", s, pod.Namespace, clusterDomain)
	}
	return hostname, domain, nil
}

// checkFQDN refuses a name that the kernel cannot hold, in the kubelet's words.
func checkFQDN(name string) error {
	const most = 64
	if len(name) > most {
		return fmt.Errorf("failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d characters is the max, %d characters requested)",
			name, most, len(name))
	}
	return nil
}

func dns(pod *v1.Pod, o *Options) runtime.DNS {
	d := runtime.DNS{Policy: string(pod.Spec.DNSPolicy), ClusterDomain: o.ClusterDomain}
	if c := pod.Spec.DNSConfig; c != nil {
		d.Servers, d.Searches = c.Nameservers, c.Searches
		for _, opt := range c.Options {
			d.Options = append(d.Options, runtime.DNSOption{Name: opt.Name, Value: opt.Value})
		}
	}
	return d
}

// sysctls have dots for separators.
func sysctls(pod *v1.Pod) map[string]string {
	if pod.Spec.SecurityContext == nil || len(pod.Spec.SecurityContext.Sysctls) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, s := range pod.Spec.SecurityContext.Sysctls {
		m[sysctl.NormalizeName(s.Name)] = s.Value
	}
	return m
}

// ports are the ports of the host that lead into the Pod. In a Pod on the host's network they are only claimed. Those of sidecars are
// among them, as the scheduler counts them, though the kubelet passes over them; one that a container has too is the container's.
// Other init containers have none: they come and go, and the sandbox stays.
func ports(pod *v1.Pod) ([]runtime.Port, error) {
	var list []runtime.Port
	for i := range pod.Spec.Containers {
		own, err := hostPorts(&pod.Spec.Containers[i])
		if err != nil {
			return nil, err
		}
		list = append(list, own...)
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if !podutil.IsRestartableInitContainer(c) {
			continue
		}
		own, err := hostPorts(c)
		if err != nil {
			return nil, err
		}
		for _, p := range own {
			taken := func(other runtime.Port) bool {
				return other.HostIP == p.HostIP && other.HostPort == p.HostPort && other.Protocol == p.Protocol
			}
			if !slices.ContainsFunc(list, taken) {
				list = append(list, p)
			}
		}
	}
	return list, nil
}

func hostPorts(c *v1.Container) ([]runtime.Port, error) {
	var list []runtime.Port
	for _, p := range c.Ports {
		if p.HostPort == 0 {
			continue
		}
		port := runtime.Port{HostPort: uint16(p.HostPort), ContainerPort: uint16(p.ContainerPort), Protocol: string(p.Protocol)}
		if p.HostIP != "" {
			ip, err := netip.ParseAddr(p.HostIP)
			if err != nil {
				return nil, fmt.Errorf("hostIP of port %d of container %q: %w", p.HostPort, c.Name, err)
			}
			port.HostIP = ip
		}
		list = append(list, port)
	}
	return list, nil
}

// FieldPath is how an Event names a container of the Pod.
func FieldPath(pod *v1.Pod, container string) string {
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == container {
			return fmt.Sprintf("spec.initContainers{%s}", container)
		}
	}
	return fmt.Sprintf("spec.containers{%s}", container)
}

// Find is the container of a name, regular or init; nil when there is none.
func Find(pod *v1.Pod, name string) *v1.Container {
	for _, list := range [][]v1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}
