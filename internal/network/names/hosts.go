package names

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
)

// HostsConfig is all that a Pod's /etc/hosts is made of.
type HostsConfig struct {
	IPs              []netip.Addr
	Hostname, Domain string // of PodHostname
	Aliases          []HostAlias
}

// HostAlias is one of the Pod's hostAliases.
type HostAlias struct {
	IP        string
	Hostnames []string
}

// Hosts is the /etc/hosts of a Pod with a network of its own, as the kubelet writes it.
func Hosts(c HostsConfig) []byte {
	var b bytes.Buffer
	b.WriteString("# Kubernetes-managed hosts file.\n")
	for _, line := range [][2]string{
		{"127.0.0.1", "localhost"},
		{"::1", "localhost ip6-localhost ip6-loopback"},
		{"fe00::0", "ip6-localnet"},
		{"fe00::0", "ip6-mcastprefix"},
		{"fe00::1", "ip6-allnodes"},
		{"fe00::2", "ip6-allrouters"},
	} {
		fmt.Fprintf(&b, "%s\t%s\n", line[0], line[1])
	}
	for _, ip := range c.IPs {
		if c.Domain != "" {
			fmt.Fprintf(&b, "%s\t%s.%s\t%s\n", ip, c.Hostname, c.Domain, c.Hostname)
		} else {
			fmt.Fprintf(&b, "%s\t%s\n", ip, c.Hostname)
		}
	}
	writeAliases(&b, c.Aliases)
	return b.Bytes()
}

// HostNetworkHosts is the /etc/hosts of a Pod on the host's network: the host's own, and the aliases.
func HostNetworkHosts(host []byte, aliases []HostAlias) []byte {
	var b bytes.Buffer
	b.WriteString("# Kubernetes-managed hosts file (host network).\n")
	b.Write(host)
	writeAliases(&b, aliases)
	return b.Bytes()
}

func writeAliases(b *bytes.Buffer, aliases []HostAlias) {
	if len(aliases) == 0 {
		return
	}
	b.WriteString("\n# Entries added by HostAliases.\n")
	for _, a := range aliases {
		fmt.Fprintf(b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
	}
}

// HostnameConfig is all that a Pod's host name follows from.
type HostnameConfig struct {
	Name, Namespace     string
	Hostname, Subdomain string // of the spec
	Override            string // hostnameOverride: instead of everything
	ClusterDomain       string
	SetHostnameAsFQDN   bool
}

// Names is what a Pod is called.
type Names struct {
	Hostname string // in /etc/hosts
	Domain   string // "SUBDOMAIN.NAMESPACE.svc.CLUSTERDOMAIN", or ""
	Kernel   string // what uname -n says and /etc/hostname holds
}

// Linux keeps a host name in 64 bytes; a DNS label has at most 63.
const (
	maxHostname = 63
	maxFQDN     = 64
)

// PodHostname names a Pod by the kubelet's rules. Hostname and Subdomain are valid labels already: validation saw to it.
func PodHostname(c HostnameConfig) (Names, error) {
	var n Names
	var err error
	if c.Override != "" {
		n.Hostname, err = cutHostname(c.Name, c.Override)
		n.Kernel = n.Hostname
		return n, err
	}
	name := c.Name
	if c.Hostname != "" {
		name = c.Hostname
	}
	if n.Hostname, err = cutHostname(c.Name, name); err != nil {
		return Names{}, err
	}
	n.Kernel = n.Hostname
	if c.Subdomain == "" {
		return n, nil
	}
	n.Domain = c.Subdomain + "." + c.Namespace + ".svc." + c.ClusterDomain
	if !c.SetHostnameAsFQDN {
		return n, nil
	}
	n.Kernel = n.Hostname + "." + n.Domain
	if len(n.Kernel) > maxFQDN {
		return Names{}, fmt.Errorf("failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long (%d characters is the max, %d characters requested)",
			n.Kernel, maxFQDN, len(n.Kernel))
	}
	return n, nil
}

func cutHostname(pod, name string) (string, error) {
	if len(name) <= maxHostname {
		return name, nil
	}
	cut := strings.TrimRight(name[:maxHostname], "-.")
	if cut == "" {
		return "", fmt.Errorf("hostname for pod %q was invalid: %q", pod, name)
	}
	return cut, nil
}
