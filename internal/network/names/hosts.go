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
	Hostname, Domain string // "web", and "SUBDOMAIN.NAMESPACE.svc.CLUSTERDOMAIN" or ""
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
