package network

import "github.com/hull-pods/hull/internal/network/names"

// The name files of a Pod, as package names makes them.
type (
	DNS         = names.DNS
	DNSOption   = names.DNSOption
	HostDNS     = names.HostDNS
	Warning     = names.Warning
	HostsConfig = names.HostsConfig
	HostAlias   = names.HostAlias
)

// MissingClusterDNS is the warning of a Pod that would have a cluster's DNS where there is none.
const MissingClusterDNS = names.MissingClusterDNS

// ResolvConf is a Pod's resolv.conf.
func ResolvConf(d DNS) ([]byte, []Warning) { return names.ResolvConf(d) }

// ReadHostDNS reads the host's resolv.conf.
func ReadHostDNS() (HostDNS, error) { return names.ReadHostDNS() }

// Hosts is the /etc/hosts of a Pod with a network of its own.
func Hosts(c HostsConfig) []byte { return names.Hosts(c) }

// HostNetworkHosts is the /etc/hosts of a Pod on the host's network.
func HostNetworkHosts(host []byte, aliases []HostAlias) []byte {
	return names.HostNetworkHosts(host, aliases)
}
