package network

import (
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/network/instances"
	"github.com/hull-pods/hull/internal/network/rtnl"
)

// gateway4 is where a Pod sends everything: a link-local address that nobody has and nobody needs to have, because its
// permanent neighbour entry names the host's end. The gateway of IPv6 is the same thing, in the form that fits the link.
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

// makeVeth makes both ends in one message, the Pod's inside its namespace, both down.
func (w wiring) makeVeth(netns int) rtnl.Message {
	podMAC, hostMAC := macs(w.id)
	peer := append(rtnl.End(podInterface, podMAC, w.mtu), nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(netns))))
	body := append(rtnl.End(w.host, hostMAC, w.mtu), nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(w.group)))
	return rtnl.Veth(body, peer, "make veth %s with %s in the sandbox's namespace", w.host, podInterface)
}

// podSide is what is done inside the sandbox, where eth0 has this index. Its link-local address is given and not
// made by the kernel, which would try it out for a second first.
func (w wiring) podSide(index int32) []rtnl.Message {
	podMAC, hostMAC := macs(w.id)
	msgs := []rtnl.Message{rtnl.LoopbackUp()}
	for _, ip := range w.ips {
		if ip.Is6() {
			msgs = append(msgs, settings{index: index, name: podInterface, noLinkLocal: true}.message())
		}
	}
	msgs = append(msgs, rtnl.LinkUp(index, podInterface))
	for _, ip := range w.ips {
		gw := gateway4
		if ip.Is6() {
			gw = linkLocal(hostMAC)
			msgs = append(msgs, rtnl.AddAddress(index, podInterface, netip.PrefixFrom(linkLocal(podMAC), 64)))
		}
		msgs = append(msgs,
			rtnl.AddAddress(index, podInterface, single(ip)),
			rtnl.AddNeighbour(index, podInterface, gw, hostMAC),
			rtnl.AddRoute(index, podInterface, netip.PrefixFrom(unspecified(ip), 0), gw, netip.Addr{}))
	}
	return msgs
}

// hostSide is what the host's end gets, after the other: so it has a carrier the moment that it is up. It has no address,
// not even a link-local one: each would be several more routes in the host's one table, all of which the kernel goes
// through whenever a link comes up. The routes come last: before them nothing can be sent.
//
// The kernel learns late, in a thread of its own, that a link has its carrier, and goes through all IPv6 routes then. Asking for the
// link makes it learn now: once, and not while the messages that follow wait for that thread.
func (w wiring) hostSide(index int32) []rtnl.Message {
	podMAC, _ := macs(w.id)
	set := settings{index: index, name: w.host, alias: alias(w.instance, w.id, w.ips...), forwards: true, localnet: w.localnet}
	for _, ip := range w.ips {
		set.noLinkLocal = set.noLinkLocal || ip.Is6()
	}
	msgs := []rtnl.Message{set.message(), rtnl.LinkUp(index, w.host), rtnl.LinkByIndex(index)}
	for i, ip := range w.ips {
		msgs = append(msgs,
			rtnl.AddNeighbour(index, w.host, ip, podMAC),
			rtnl.AddRoute(index, w.host, single(ip), netip.Addr{}, w.hostIPs[i]))
		if ip.Is6() { // nobody listens there; a kernel that makes it later than thought keeps it
			msgs = append(msgs, rtnl.DropMulticast(index, w.host).OrElse(unix.ESRCH))
		}
	}
	return msgs
}

// settings are of one link, all in one message.
type settings struct {
	index       int32
	name, alias string
	forwards    bool // is a host's end: forwards, and never tells Pods of better routes
	localnet    bool // may carry what is from or to 127.0.0.0/8
	noLinkLocal bool // the kernel gives it no IPv6 address of its own
}

// The keys of one interface's settings: IPv4's (linux/ip.h) in IFLA_INET_CONF, and IPv6's.
const (
	inetConf          = 1 // IFLA_INET_CONF itself
	confForwarding    = 1
	confSendRedirects = 6
	confRouteLocalnet = 26
	inet6AddrGenMode  = 8 // IFLA_INET6_ADDR_GEN_MODE
)

func (s settings) message() rtnl.Message {
	link := nl.NewIfInfomsg(unix.AF_UNSPEC)
	link.Index = s.index
	body := []nl.NetlinkRequestData{link}
	what := "set " + s.name
	if s.alias != "" {
		body = append(body, nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(s.alias)))
		what += ` alias "` + s.alias + `"`
	}
	families := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
	if s.forwards {
		conf := families.AddRtAttr(unix.AF_INET, nil).AddRtAttr(inetConf, nil)
		conf.AddRtAttr(confForwarding, nl.Uint32Attr(1))
		conf.AddRtAttr(confSendRedirects, nl.Uint32Attr(0))
		what += " forwarding 1 send_redirects 0"
		if s.localnet {
			conf.AddRtAttr(confRouteLocalnet, nl.Uint32Attr(1))
			what += " route_localnet 1"
		}
	}
	if s.noLinkLocal {
		families.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(inet6AddrGenMode, nl.Uint8Attr(nl.IN6_ADDR_GEN_MODE_NONE))
		what += " addr_gen_mode none"
	}
	return rtnl.New(unix.RTM_SETLINK, rtnl.Change, append(body, families), "%s", what)
}

// home is the host's own place among its Pods: a link that leads nowhere and has the first address of each pool, so that
// the host has a source to speak from when it has no other network, and always the same.
type home struct {
	instance string
	group    uint32
	ips      []netip.Addr
}

// names are of the end that has the addresses, and of the other.
func (h home) names() []string { return instances.Links(h.instance) }

func (h home) make() rtnl.Message {
	names, g := h.names(), nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(h.group))
	return rtnl.Veth(append(rtnl.End(names[0], nil, 0), g), append(rtnl.End(names[1], nil, 0), g), "make %s for the host's own addresses", names[0])
}

// side is what one end gets once its index is known; what is there already may be refused with EEXIST.
func (h home) side(i int, index int32) []rtnl.Message {
	name := h.names()[i]
	set := settings{index: index, name: name, alias: "hull " + h.instance + " host", noLinkLocal: len(h.ips) > 1}
	msgs := []rtnl.Message{set.message(), rtnl.LinkUp(index, name)}
	if i == 0 {
		for _, ip := range h.ips {
			msgs = append(msgs, rtnl.AddAddress(index, name, single(ip)))
		}
	}
	return msgs
}

func single(ip netip.Addr) netip.Prefix { return netip.PrefixFrom(ip, ip.BitLen()) }

func unspecified(ip netip.Addr) netip.Addr {
	if ip.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}
