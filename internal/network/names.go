package network

import "net/netip"

// DNS is all that a Pod's resolv.conf is made of.
type DNS struct {
	Policy      string // ClusterFirst, ClusterFirstWithHostNet, Default or None; "" is ClusterFirst
	HostNetwork bool
	Host        HostDNS // what the host itself uses

	ClusterServers []netip.Addr // none: ClusterFirst falls back to Default, with the warning MissingClusterDNS
	ClusterDomain  string
	Namespace      string

	Servers  []string // dnsConfig
	Searches []string
	Options  []DNSOption
}

// DNSOption is one option of dnsConfig; a nil Value is an option without one.
type DNSOption struct {
	Name  string
	Value *string
}

// HostDNS is a parsed resolv.conf.
type HostDNS struct {
	Servers, Searches, Options []string
}

// Warning is what the kubelet would say as an event.
type Warning struct {
	Reason, Message string // Reason: MissingClusterDNS, DNSConfigForming
}
