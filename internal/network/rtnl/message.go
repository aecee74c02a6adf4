package rtnl

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Message is one rtnetlink request, decided but not sent.
type Message struct {
	What  string // "add route 10.88.0.5 by hull1a2b9f86d08": what an error and a golden file call it
	Body  []byte // family header and attributes
	typ   uint16
	flags uint16 // besides NLM_F_REQUEST and NLM_F_ACK
	fine  unix.Errno
}

// OrElse is the same request, of which this refusal is as good as an acknowledgement.
func (m Message) OrElse(fine unix.Errno) Message {
	m.fine = fine
	return m
}

// size is how many bytes append adds.
func (m Message) size() int { return (unix.SizeofNlMsghdr + len(m.Body) + 3) &^ 3 }

// append adds the Message as the kernel reads it.
func (m Message) append(b []byte, flags uint16, seq uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+len(m.Body)))
	b = binary.NativeEndian.AppendUint16(b, m.typ)
	b = binary.NativeEndian.AppendUint16(b, m.flags|flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, m.Body...)
	return append(b, make([]byte, m.size()-unix.SizeofNlMsghdr-len(m.Body))...)
}

// New is a request with this body and, for people, what it does.
func New(typ, flags uint16, body []nl.NetlinkRequestData, what string, args ...any) Message {
	m := Message{What: fmt.Sprintf(what, args...), typ: typ, flags: flags}
	for _, part := range body {
		m.Body = append(m.Body, part.Serialize()...)
	}
	return m
}

// How a request treats what is there: it must not be there, or is to be changed.
const (
	Create = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	Change = 0
)

// LoopbackUp is sent first inside a sandbox: lo is link 1 of every namespace.
func LoopbackUp() Message { return LinkUp(1, "lo") }

// LinkUp sets a link up.
func LinkUp(index int32, name string) Message {
	link := nl.NewIfInfomsg(unix.AF_UNSPEC)
	link.Index, link.Flags, link.Change = index, unix.IFF_UP, unix.IFF_UP
	return New(unix.RTM_NEWLINK, Change, []nl.NetlinkRequestData{link}, "set %s up", name)
}

// LinkByName asks for one link.
func LinkByName(name string) Message {
	return New(unix.RTM_GETLINK, 0, []nl.NetlinkRequestData{nl.NewIfInfomsg(unix.AF_UNSPEC),
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)), noCounters()}, "look for link %s", name)
}

// LinkByIndex asks for one link.
func LinkByIndex(index int32) Message {
	link := nl.NewIfInfomsg(unix.AF_UNSPEC)
	link.Index = index
	return New(unix.RTM_GETLINK, 0, []nl.NetlinkRequestData{link, noCounters()}, "look for link %d", index)
}

// noCounters keeps a link's counters out of the answer: most of its bytes, and of the kernel's time for it.
func noCounters() *nl.RtAttr {
	const skipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS
	return nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats))
}

// DeleteLink deletes one, and a veth's other end.
func DeleteLink(index int32) Message {
	link := nl.NewIfInfomsg(unix.AF_UNSPEC)
	link.Index = index
	return New(unix.RTM_DELLINK, 0, []nl.NetlinkRequestData{link}, "delete link %d", index)
}

// DeleteGroup deletes all links of a group in one go.
func DeleteGroup(group uint32) Message {
	return New(unix.RTM_DELLINK, 0, []nl.NetlinkRequestData{nl.NewIfInfomsg(unix.AF_UNSPEC),
		nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(group))}, "delete links of group %08x", group)
}

// Raw is a header that the netlink library has no type for.
type Raw []byte

// Len and Serialize make it a part of a body.
func (r Raw) Len() int          { return len(r) }
func (r Raw) Serialize() []byte { return r }

// Family is that of an address.
func Family(ip netip.Addr) int {
	if ip.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// Veth makes a pair of links: the attributes of one end, and of the other.
func Veth(attrs, peer []nl.NetlinkRequestData, what string, args ...any) Message {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	other := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(other, unix.AF_UNSPEC)
	for _, a := range peer {
		other.AddChild(a)
	}
	body := append([]nl.NetlinkRequestData{nl.NewIfInfomsg(unix.AF_UNSPEC)}, attrs...)
	return New(unix.RTM_NEWLINK, Create, append(body, info), what, args...)
}

// End is the attributes that an end of a veth has anyway. A single queue: a veth has no queueing discipline that would
// use more, and each costs memory.
func End(name string, mac net.HardwareAddr, mtu int) []nl.NetlinkRequestData {
	attrs := []nl.NetlinkRequestData{
		nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)),
		nl.NewRtAttr(unix.IFLA_NUM_TX_QUEUES, nl.Uint32Attr(1)),
		nl.NewRtAttr(unix.IFLA_NUM_RX_QUEUES, nl.Uint32Attr(1)),
	}
	if mac != nil {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_ADDRESS, mac))
	}
	if mtu > 0 {
		attrs = append(attrs, nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(mtu))))
	}
	return attrs
}

// AddAddress gives a link an address; one of IPv6 is usable at once.
func AddAddress(index int32, dev string, ip netip.Prefix) Message {
	addr := nl.NewIfAddrmsg(Family(ip.Addr()))
	addr.Index, addr.Prefixlen = uint32(index), uint8(ip.Bits())
	body := []nl.NetlinkRequestData{addr,
		nl.NewRtAttr(unix.IFA_LOCAL, ip.Addr().AsSlice()), nl.NewRtAttr(unix.IFA_ADDRESS, ip.Addr().AsSlice())}
	if ip.Addr().Is6() {
		flags := uint32(unix.IFA_F_NODAD) // usable at once
		if ip.IsSingleIP() {
			flags |= unix.IFA_F_NOPREFIXROUTE // and no second route to it
		}
		body = append(body, nl.NewRtAttr(unix.IFA_FLAGS, nl.Uint32Attr(flags)))
	}
	return New(unix.RTM_NEWADDR, Create, body, "add address %s to %s", ip, dev)
}

// AddNeighbour tells a link for good at which hardware address another is.
func AddNeighbour(index int32, dev string, ip netip.Addr, mac net.HardwareAddr) Message {
	// struct ndmsg: family, three bytes of padding, index, state, flags, type
	head := make([]byte, 12)
	head[0] = uint8(Family(ip))
	binary.NativeEndian.PutUint32(head[4:], uint32(index))
	binary.NativeEndian.PutUint16(head[8:], unix.NUD_PERMANENT)
	body := []nl.NetlinkRequestData{Raw(head), nl.NewRtAttr(unix.NDA_DST, ip.AsSlice()), nl.NewRtAttr(unix.NDA_LLADDR, mac)}
	return New(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, body, "add neighbour %s at %s on %s", ip, mac, dev)
}

// AddRoute adds a route to dst through dev: by a gateway that is on the link although no address says so, or, on the host,
// from a source of the host's.
func AddRoute(index int32, dev string, dst netip.Prefix, gw, src netip.Addr) Message {
	rt := nl.NewRtMsg()
	rt.Family, rt.Dst_len = uint8(Family(dst.Addr())), uint8(dst.Bits())
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
	if src.IsValid() {
		rt.Protocol = Protocol
		body = append(body, nl.NewRtAttr(unix.RTA_PREFSRC, src.AsSlice()))
		what += " from " + src.String()
	}
	body = append(body, nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index))))
	return New(unix.RTM_NEWROUTE, Create, body, "%s to %s", what, dev)
}
