package network

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/network/rtnl"
)

// gateway4 is where a Pod sends everything: a link-local address that nobody has and nobody needs to have, because its
// permanent neighbour entry names the host's end.
var gateway4 = netip.AddrFrom4([4]byte{169, 254, 1, 1})

// wiring is all that a sandbox's veth is decided from.
type wiring struct {
	instance, id string
	host         string // name of the host's end
	group        uint32
	mtu          int
	ips          []netip.Addr // the Pod's: at most one of each family
	hostIPs      []netip.Addr // the host's own, in the same order
	localnet     bool         // 127.0.0.1 of the host reaches this Pod's host ports
}

// makeVeth makes both ends in one message, the Pod's inside its namespace. The host's end is up from the start; the Pod's
// cannot be made up. A single queue: a veth has no queueing discipline that would use more, and each costs memory.
func (w wiring) makeVeth(netns int) rtnl.Message {
	podMAC, hostMAC := macs(w.id)
	link := nl.NewIfInfomsg(unix.AF_UNSPEC)
	link.Flags, link.Change = unix.IFF_UP, unix.IFF_UP
	body := append([]nl.NetlinkRequestData{link}, w.end(w.host, hostMAC)...)
	body = append(body, nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(w.group)))

	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	for _, a := range w.end(podInterface, podMAC) {
		peer.AddChild(a)
	}
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(netns)))
	return rtnl.New(unix.RTM_NEWLINK, rtnl.Create, append(body, info), "make veth %s with %s in the sandbox's namespace", w.host, podInterface)
}

func (w wiring) end(name string, mac net.HardwareAddr) []nl.NetlinkRequestData {
	attrs := []nl.NetlinkRequestData{
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)),
		nl.NewRtAttr(unix.IFLA_ADDRESS, mac),
		nl.NewRtAttr(unix.IFLA_NUM_TX_QUEUES, nl.Uint32Attr(1)),
		nl.NewRtAttr(unix.IFLA_NUM_RX_QUEUES, nl.Uint32Attr(1)),
	}
	if w.mtu > 0 {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(w.mtu))))
	}
	return attrs
}

// hostSide is what the host's end gets once its index is known. The routes come last: before them nothing can be sent.
func (w wiring) hostSide(index int32) []rtnl.Message {
	podMAC, _ := macs(w.id)
	msgs := []rtnl.Message{w.settings(index)}
	for i, ip := range w.ips {
		msgs = append(msgs,
			addAddress(index, w.host, w.hostIPs[i]),
			addNeighbour(index, w.host, ip, podMAC),
			addRoute(index, w.host, netip.PrefixFrom(ip, ip.BitLen()), netip.Addr{}))
	}
	return msgs
}

// The keys of one interface's IPv4 settings (linux/ip.h) in IFLA_INET_CONF.
const (
	inetConf          = 1 // IFLA_INET_CONF itself
	confForwarding    = 1
	confSendRedirects = 6
	confRouteLocalnet = 26
)

func (w wiring) settings(index int32) rtnl.Message {
	link := nl.NewIfInfomsg(unix.AF_UNSPEC)
	link.Index = index
	family := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	conf := family.AddRtAttr(unix.AF_INET, nil).AddRtAttr(inetConf, nil)
	conf.AddRtAttr(confForwarding, nl.Uint32Attr(1))
	conf.AddRtAttr(confSendRedirects, nl.Uint32Attr(0))
	what := "forwarding"
	if w.localnet {
		conf.AddRtAttr(confRouteLocalnet, nl.Uint32Attr(1))
		what += ", route_localnet"
	}
	name := alias(w.instance, w.id, w.ips...)
	body := []nl.NetlinkRequestData{link, nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(name)), family}
	return rtnl.New(unix.RTM_SETLINK, rtnl.Change, body, "set alias %q and %s of %s", name, what, w.host)
}

// podSide is what is done inside the sandbox once eth0's index there is known.
func (w wiring) podSide(index int32) []rtnl.Message {
	_, hostMAC := macs(w.id)
	msgs := []rtnl.Message{rtnl.LinkUp(index, podInterface)}
	for _, ip := range w.ips {
		gw := gateway4
		if ip.Is6() {
			gw = linkLocal(hostMAC)
		}
		msgs = append(msgs,
			addAddress(index, podInterface, ip),
			addNeighbour(index, podInterface, gw, hostMAC),
			addRoute(index, podInterface, netip.PrefixFrom(unspecified(ip), 0), gw))
	}
	return msgs
}

func addAddress(index int32, dev string, ip netip.Addr) rtnl.Message {
	addr := nl.NewIfAddrmsg(rtnl.Family(ip))
	addr.Index, addr.Prefixlen = uint32(index), uint8(ip.BitLen())
	body := []nl.NetlinkRequestData{addr,
		nl.NewRtAttr(unix.IFA_LOCAL, ip.AsSlice()), nl.NewRtAttr(unix.IFA_ADDRESS, ip.AsSlice())}
	if ip.Is6() {
		// Usable at once, and no second route for what has one.
		body = append(body, nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(unix.IFA_F_NODAD|unix.IFA_F_NOPREFIXROUTE)))
	}
	return rtnl.New(unix.RTM_NEWADDR, rtnl.Create, body, "add address %s to %s", ip, dev)
}

func addNeighbour(index int32, dev string, ip netip.Addr, mac net.HardwareAddr) rtnl.Message {
	// struct ndmsg: family, three bytes of padding, index, state, flags, type
	head := make([]byte, 12)
	head[0] = uint8(rtnl.Family(ip))
	binary.NativeEndian.PutUint32(head[4:], uint32(index))
	binary.NativeEndian.PutUint16(head[8:], unix.NUD_PERMANENT)
	body := []nl.NetlinkRequestData{rtnl.Raw(head), nl.NewRtAttr(unix.NDA_DST, ip.AsSlice()), nl.NewRtAttr(unix.NDA_LLADDR, mac)}
	return rtnl.New(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body, "add neighbour %s at %s on %s", ip, mac, dev)
}

// addRoute adds a route to dst through dev, by a gateway that is on the link although no address says so.
func addRoute(index int32, dev string, dst netip.Prefix, gw netip.Addr) rtnl.Message {
	rt := nl.NewRtMsg()
	rt.Family, rt.Dst_len = uint8(rtnl.Family(dst.Addr())), uint8(dst.Bits())
	rt.Protocol, rt.Scope = unix.RTPROT_STATIC, unix.RT_SCOPE_LINK
	body := []nl.NetlinkRequestData{rt}
	what := "add route " + dst.String()
	if dst.Bits() > 0 {
		body = append(body, nl.NewRtAttr(unix.RTA_DST, dst.Addr().AsSlice()))
	}
	if gw.IsValid() {
		rt.Scope = unix.RT_SCOPE_UNIVERSE
		rt.Flags = unix.RTNH_F_ONLINK
		body = append(body, nl.NewRtAttr(unix.RTA_GATEWAY, gw.AsSlice()))
		what += " by " + gw.String()
	}
	body = append(body, nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	return rtnl.New(unix.RTM_NEWROUTE, rtnl.Create, body, "%s to %s", what, dev)
}

func unspecified(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
