package network

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/network/addresses"
	"github.com/hull-pods/hull/internal/network/instances"
	"github.com/hull-pods/hull/internal/network/rtnl"
	"github.com/hull-pods/hull/internal/network/sysctl"
)

// outside is a machine on a network that the host has a foot in. It has no route to Pods.
type outside struct {
	ns        *os.File
	host, far []netip.Addr // IPv4, IPv6
}

func newOutside(t testing.TB) outside {
	t.Helper()
	hulltest.NeedRoot(t)
	o := outside{
		ns:   hulltest.Netns(t),
		host: []netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:51::1")},
		far:  []netip.Addr{netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("2001:db8:51::2")},
	}
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "far", PeerNamespace: netlink.NsFd(o.ns.Fd())}
	if err := netlink.LinkAdd(link); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(link) })
	setUp(t, "uplink", o.host)
	if err := linux.InNetns(o.ns, func() error { setUp(t, "far", o.far); return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := netlink.LinkByName("uplink"); err != nil { // asking makes it ready: see rtnl.link
		t.Fatal(err)
	}
	return o
}

func setUp(t testing.TB, name string, ips []netip.Addr) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Error(err)
		return
	}
	if err := netlink.LinkSetUp(link); err != nil {
		t.Error(err)
	}
	for _, ip := range ips {
		bits := 24
		if ip.Is6() {
			bits = 64
		}
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(bits, ip.BitLen())}}
		if ip.Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			t.Error(err)
		}
	}
}

func TestPodsReachTheOutsideMasqueraded(t *testing.T) {
	n := open(t, testConfig(t))
	o := newOutside(t)
	p := attach(t, n)
	for i, ip := range o.far {
		serve(t, o.ns, "tcp", hostPort(ip, 80), "far")
		serve(t, o.ns, "udp", hostPort(ip, 80), "far")
		expect(t, p.ns, "tcp", hostPort(ip, 80), "far "+o.host[i].String())
		expect(t, p.ns, "udp", hostPort(ip, 80), "far "+o.host[i].String())
	}
}

func TestHostPorts(t *testing.T) {
	n := open(t, testConfig(t))
	o := newOutside(t)
	p := attach(t, n,
		Port{HostPort: 8080, ContainerPort: 80},
		Port{HostPort: 8053, ContainerPort: 53, Protocol: "UDP"},
		Port{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 9000, ContainerPort: 90},
		Port{HostPort: 8132, ContainerPort: 132, Protocol: "SCTP"},
	)
	other := attach(t, n)
	for i, ip := range p.IPs {
		own := n.pool.Of(addresses.Host)[i]
		serve(t, p.ns, "tcp", hostPort(ip, 80), "web")
		serve(t, p.ns, "udp", hostPort(ip, 53), "dns")
		for _, to := range []netip.Addr{o.host[i], own} {
			expect(t, p.ns, "tcp", hostPort(to, 8080), "web "+own.String()) // hairpin
			expect(t, p.ns, "udp", hostPort(to, 8053), "dns "+own.String())
			expect(t, other.ns, "tcp", hostPort(to, 8080), "web "+other.IPs[i].String())
			expect(t, other.ns, "udp", hostPort(to, 8053), "dns "+other.IPs[i].String())
		}
		expect(t, o.ns, "tcp", hostPort(o.host[i], 8080), "web "+o.far[i].String())
		expect(t, o.ns, "udp", hostPort(o.host[i], 8053), "dns "+o.far[i].String())
		expect(t, nil, "tcp", hostPort(o.host[i], 8080), "web "+o.host[i].String())
		expect(t, nil, "udp", hostPort(o.host[i], 8053), "dns "+o.host[i].String())
	}
	own := n.pool.Of(addresses.Host)[0].String()
	expect(t, nil, "tcp", "127.0.0.1:8080", "web "+own)
	expect(t, nil, "udp", "127.0.0.1:8053", "dns "+own)

	serve(t, p.ns, "tcp", hostPort(p.IPs[0], 90), "local")
	expect(t, nil, "tcp", "127.0.0.1:9000", "local "+own)
	if got, err := call(t, o.ns, "tcp", hostPort(o.host[0], 9000)); err == nil {
		t.Errorf("a port of 127.0.0.1 answers %q to the outside", got)
	}
	for _, network := range []string{"tcp", "udp"} {
		port := map[string]string{"tcp": "8080", "udp": "8053"}[network]
		if got, err := call(t, nil, network, "[::1]:"+port); err == nil {
			t.Errorf("%s [::1]:%s answers %q, and IPv6 has no route_localnet", network, port, got)
		} else if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.EPERM) {
			t.Errorf("%s [::1]:%s: %v, want refused", network, port, err)
		}
	}
	// SCTP has no sockets in many kernels: that its rules are there is all that can be seen.
	if out, err := exec.Command("nft", "list", "table", "inet", instances.Table(n.cfg.Instance)).Output(); err == nil &&
		!strings.Contains(string(out), "sctp . 8132") {
		t.Errorf("no SCTP port in\n%s", out)
	}

	p.end(n)
	if got, err := call(t, nil, "tcp", "127.0.0.1:8080"); err == nil {
		t.Errorf("a removed host port answers %q", got)
	}
}

// A UDP flow that is older than a Pod, or than its end, must not stick to where it went before.
func TestUDPFlowsFollowTheirHostPort(t *testing.T) {
	n := open(t, testConfig(t))
	o := newOutside(t)
	var client *net.UDPConn
	in(t, o.ns, func() (err error) {
		client, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(o.host[0], 8053)))
		return err
	})
	if client == nil {
		t.FailNow()
	}
	defer func() { _ = client.Close() }()
	ask := func() string {
		buf := make([]byte, 100)
		for {
			if _, err := client.Write([]byte("hello")); err != nil {
				continue // an earlier one was refused
			}
			if err := client.SetReadDeadline(deadline()); err != nil {
				t.Fatal(err)
			}
			k, err := client.Read(buf)
			if err == nil {
				return string(buf[:k])
			}
			return err.Error()
		}
	}
	if got := ask(); !strings.Contains(got, "refused") {
		t.Fatalf("before any Pod: %q", got)
	}
	for _, word := range []string{"first", "second"} {
		p := attach(t, n, Port{HostPort: 8053, ContainerPort: 53, Protocol: "UDP"})
		serve(t, p.ns, "udp", hostPort(p.IPs[0], 53), word)
		if got, want := ask(), word+" "+o.far[0].String(); got != want {
			t.Errorf("answer %q, want %q", got, want)
		}
		p.end(n)
	}
}

// rawIPv4 sends one UDP datagram from a Pod by the link layer, with any source and destination.
func rawIPv4(t *testing.T, n *Network, p pod, src, dst string, port uint16) {
	t.Helper()
	payload := []byte("forged")
	udp := binary.BigEndian.AppendUint16(nil, 4000)
	udp = binary.BigEndian.AppendUint16(udp, port)
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(payload)))
	udp = append(append(udp, 0, 0), payload...)
	ip := []byte{0x45, 0, 0, byte(20 + len(udp)), 0, 1, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	ip = append(append(ip, s[:]...), d[:]...)
	sum := uint32(0)
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum))
	_, hostMAC := macs(p.id)
	in(t, p.ns, func() error {
		link, err := netlink.LinkByName(podInterface)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		to := &unix.SockaddrLinklayer{Protocol: 0x0008, Ifindex: link.Attrs().Index, Halen: 6}
		copy(to.Addr[:], hostMAC)
		return unix.Sendto(fd, append(ip, udp...), 0, to)
	})
}

// A Pod may send what it likes; it must not arrive under another's name, nor on the host's loopback.
func TestPodsCannotForge(t *testing.T) {
	n := open(t, testConfig(t))
	// Host ports switch route_localnet on for this Pod, which is what would open the loopback.
	p, victim := attach(t, n, Port{HostPort: 8080, ContainerPort: 80}), attach(t, n)
	own := n.pool.Of(addresses.Host)[0].String()
	pc, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp4", "0.0.0.0:4321")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pc.Close() }()
	me := p.IPs[0].String()
	rawIPv4(t, n, p, me, "127.0.0.1", 4321)
	rawIPv4(t, n, p, victim.IPs[0].String(), own, 4321)
	rawIPv4(t, n, p, "203.0.113.9", own, 4321)
	rawIPv4(t, n, p, me, own, 4321) // the honest one comes last: what arrived before it is a hole
	if err := pc.SetReadDeadline(deadline()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	_, from, err := pc.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	if host(from) != me || from.(*net.UDPAddr).Port != 4000 {
		t.Errorf("a forged packet arrived from %s", from)
	}
	if _, _, err := nonBlocking(pc, buf); err == nil {
		t.Error("more than the honest packet arrived")
	}
}

func nonBlocking(pc net.PacketConn, buf []byte) (int, net.Addr, error) {
	raw, err := pc.(*net.UDPConn).SyscallConn()
	if err != nil {
		return 0, nil, err
	}
	var n int
	var rerr error
	if err := raw.Read(func(fd uintptr) bool {
		n, _, rerr = unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
		return true
	}); err != nil {
		return 0, nil, err
	}
	return n, nil, rerr
}

// ours is a pool inside the outside's own network.
func ours(o outside) netip.Prefix { return netip.PrefixFrom(o.host[0], 25).Masked() }

// A router advertisement would make a Pod the host's router, on a host that listens to them although it forwards.
func TestPodsAreNoRouters(t *testing.T) {
	n := open(t, testConfig(t))
	p := attach(t, n)
	if _, err := sysctl.Host.Set("ipv6/conf/"+p.HostInterface+"/accept_ra", "2"); err != nil {
		t.Fatal(err)
	}
	advert := []byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}
	in(t, p.ns, func() error {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }()
		link, err := netlink.LinkByName(podInterface)
		if err != nil {
			return err
		}
		mine := netip.MustParseAddr("fe80::99")
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: mine.AsSlice(), Mask: net.CIDRMask(64, 128)}, Flags: unix.IFA_F_NODAD}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return err
		}
		for _, opt := range []int{unix.IPV6_UNICAST_HOPS, unix.IPV6_MULTICAST_HOPS} {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, opt, 255); err != nil {
				return err
			}
		}
		if err := unix.Bind(fd, &unix.SockaddrInet6{Addr: mine.As16(), ZoneId: uint32(link.Attrs().Index)}); err != nil {
			return err
		}
		to := &unix.SockaddrInet6{Addr: netip.MustParseAddr("ff02::1").As16(), ZoneId: uint32(link.Attrs().Index)}
		return unix.Sendto(fd, advert, 0, to)
	})
	// What comes after it has arrived: so has it.
	own := n.pool.Of(addresses.Host)[1]
	serve(t, nil, "tcp", hostPort(own, 81), "host")
	expect(t, p.ns, "tcp", hostPort(own, 81), "host "+p.IPs[1].String())
	err := n.host.Use(func(c *rtnl.Conn) error {
		routes, err := c.Routes()
		for _, r := range routes {
			if r.Dst.Bits() == 0 {
				t.Errorf("the host has a default route by link %d", r.Index)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
