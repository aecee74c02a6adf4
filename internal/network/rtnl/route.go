package rtnl

import (
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Route is what we want to know of one of the host's.
type Route struct {
	Dst   netip.Prefix
	Index int32 // of the link
	Type  byte  // RTN_UNICAST, …
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
	r := Route{Type: body[7]}
	for typ, value := range attributes(body[unix.SizeofRtMsg:]) {
		switch typ {
		case unix.RTA_DST:
			addr, _ = netip.AddrFromSlice(value)
		case unix.RTA_OIF:
			r.Index = int32(number(value))
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
		err := c.ask(m, func(_ uint16, body []byte) {
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
