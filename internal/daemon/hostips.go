package daemon

import (
	"net"
	"net/netip"
)

// hostIPs are this host's own addresses: the one of the default route first, as the kubelet chooses it.
func (d *daemon) hostIPs() []string {
	if ips := routedIPs(); len(ips) > 0 {
		return ips
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	v4, v6 := d.network.Pools()
	var ips []string
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if ip := p.Addr(); err == nil && ip.IsGlobalUnicast() && !v4.Contains(ip) && !v6.Contains(ip) {
			ips = append(ips, ip.String())
		}
	}
	if len(ips) == 0 {
		return []string{"127.0.0.1"} // a host with no network at all
	}
	return ips
}

// routedIPs are those by which the host reaches others, if it does.
func routedIPs() []string {
	var ips []string
	// No packet is sent: connecting a datagram socket only chooses the route.
	for _, target := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		conn, err := net.Dial("udp", target)
		if err != nil {
			continue
		}
		if a, ok := conn.LocalAddr().(*net.UDPAddr); ok && !a.IP.IsLoopback() {
			ips = append(ips, a.IP.String())
		}
		_ = conn.Close()
	}
	return ips
}
