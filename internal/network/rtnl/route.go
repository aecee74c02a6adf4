package rtnl

import (
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Protocol is who made a route, among the numbers that no routing daemon is known to use: the host's routes that carry it
// are Hull's. `ip route show proto 72` lists them.
const Protocol = 72

// Route is what we want to know of one of the host's.
type Route struct {
	Dst      netip.Prefix
	Index    int32  // of the link
	Type     byte   // RTN_UNICAST, …
	Protocol byte   // who made it: RTPROT_STATIC, …, [Protocol]
	Metric   uint32 // of an unreachable route of Hull's: the instance, read as a number
}

// Unreachable is a route that refuses: to be added or, with RTM_DELROUTE, deleted. The metric is what tells one owner's
// from another's.
func Unreachable(typ uint16, dst netip.Prefix, metric uint32) Message {
	rt := nl.NewRtMsg()
	rt.Family, rt.Dst_len = uint8(Family(dst.Addr())), uint8(dst.Bits())
	rt.Protocol, rt.Type, rt.Scope = Protocol, unix.RTN_UNREACHABLE, unix.RT_SCOPE_UNIVERSE
	flags, verb := uint16(Create), "add"
	if typ == unix.RTM_DELROUTE {
		flags, verb = 0, "delete"
	}
	body := []nl.NetlinkRequestData{rt, nl.NewRtAttr(unix.RTA_DST, dst.Addr().AsSlice()), nl.NewRtAttr(unix.RTA_PRIORITY, nl.Uint32Attr(metric))}
	return New(typ, flags, body, "%s unreachable route %s of %08x", verb, dst, metric)
}

// DropMulticast removes the route for multicast that every link gets when it comes up. Those of all links are one list, which the
// kernel goes through whenever one more comes or goes.
func DropMulticast(index int32, dev string) Message {
	rt := nl.NewRtMsg()
	rt.Family, rt.Dst_len, rt.Table = unix.AF_INET6, 8, unix.RT_TABLE_LOCAL
	rt.Protocol, rt.Type, rt.Scope = unix.RTPROT_KERNEL, unix.RTN_MULTICAST, unix.RT_SCOPE_UNIVERSE
	dst := netip.AddrFrom16([16]byte{0: 0xff})
	body := []nl.NetlinkRequestData{rt, nl.NewRtAttr(unix.RTA_DST, dst.AsSlice()), nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(index)))}
	return New(unix.RTM_DELROUTE, 0, body, "delete route %s/8 to %s", dst, dev)
}

// Routes are all routes of the host's main table: for choosing a pool and for checks only.
func (c *Conn) Routes() ([]Route, error) {
	var all []Route
	m := New(unix.RTM_GETROUTE, unix.NLM_F_DUMP, []nl.NetlinkRequestData{nl.NewRtMsg()}, "list routes")
	err := c.dump(m, func() { all = nil }, func(typ uint16, body []byte) {
		if r, ok := parseRoute(body); ok && typ == unix.RTM_NEWROUTE && body[4] == unix.RT_TABLE_MAIN {
			all = append(all, r)
		}
	})
	return all, err
}

func parseRoute(body []byte) (Route, bool) {
	if len(body) < unix.SizeofRtMsg {
		return Route{}, false
	}
	addr := netip.IPv4Unspecified()
	if body[0] == unix.AF_INET6 {
		addr = netip.IPv6Unspecified()
	}
	r := Route{Type: body[7], Protocol: body[5]}
	for typ, value := range attributes(body[unix.SizeofRtMsg:]) {
		switch typ {
		case unix.RTA_DST:
			addr, _ = netip.AddrFromSlice(value)
		case unix.RTA_OIF:
			r.Index = int32(number(value))
		case unix.RTA_PRIORITY:
			r.Metric = number(value)
		}
	}
	r.Dst = netip.PrefixFrom(addr, int(body[1]))
	return r, r.Dst.IsValid() && (body[0] == unix.AF_INET || body[0] == unix.AF_INET6)
}

// DefaultMTU is that of the interface to the outside, or 0 where there is none.
func (c *Conn) DefaultMTU() (int, error) {
	for _, dst := range []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.MustParseAddr("2001:db8::1")} {
		rt := nl.NewRtMsg()
		rt.Family, rt.Dst_len = uint8(Family(dst)), uint8(dst.BitLen())
		index := int32(0)
		m := New(unix.RTM_GETROUTE, 0, []nl.NetlinkRequestData{rt, nl.NewRtAttr(unix.RTA_DST, dst.AsSlice())}, "look for the default route")
		err := c.ask([]Message{m}, func(_ uint16, body []byte) {
			if r, ok := parseRoute(body); ok && r.Type == unix.RTN_UNICAST {
				index = r.Index
			}
		})
		if err != nil || index == 0 {
			continue // no route: the other family may have one
		}
		k, err := c.Link(LinkByIndex(index))
		if err != nil {
			return 0, err
		}
		return k.MTU, nil
	}
	return 0, nil
}
