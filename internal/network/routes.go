package network

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// route is what we want to know of one of the host's.
type route struct {
	dst   netip.Prefix
	index int32
	typ   byte
}

// routes are all routes of the host's main table: for choosing a pool and for checks only.
func (c *rtnl) routes() ([]route, error) {
	var all []route
	m := newMessage(unix.RTM_GETROUTE, unix.NLM_F_DUMP, []nl.NetlinkRequestData{nl.NewRtMsg()}, "list routes")
	err := c.ask(m, func(typ uint16, body []byte) {
		if r, ok := parseRoute(body); ok && typ == unix.RTM_NEWROUTE && body[4] == unix.RT_TABLE_MAIN {
			all = append(all, r)
		}
	})
	return all, err
}

func parseRoute(body []byte) (route, bool) {
	if len(body) < unix.SizeofRtMsg {
		return route{}, false
	}
	attrs, err := nl.ParseRouteAttr(body[unix.SizeofRtMsg:])
	if err != nil {
		return route{}, false
	}
	addr := netip.IPv4Unspecified()
	if body[0] == unix.AF_INET6 {
		addr = netip.IPv6Unspecified()
	}
	r := route{typ: body[7]}
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.RTA_DST:
			addr, _ = netip.AddrFromSlice(a.Value)
		case unix.RTA_OIF:
			r.index = int32(binary.NativeEndian.Uint32(a.Value))
		}
	}
	r.dst = netip.PrefixFrom(addr, int(body[1]))
	return r, r.dst.IsValid() && (body[0] == unix.AF_INET || body[0] == unix.AF_INET6)
}

// poolRoutes are the routes that hold a pool together, to be added or deleted: what is sent to an address that no Pod has
// is refused here and not sent to the outside, and others who look for a free range see this one as taken.
func poolRoutes(typ uint16, p *pool) []message {
	var msgs []message
	for _, prefix := range []netip.Prefix{p.v4, p.v6} {
		if !prefix.IsValid() {
			continue
		}
		rt := nl.NewRtMsg()
		rt.Family, rt.Dst_len = uint8(family(prefix.Addr())), uint8(prefix.Bits())
		rt.Protocol, rt.Type, rt.Scope = unix.RTPROT_STATIC, unix.RTN_UNREACHABLE, unix.RT_SCOPE_UNIVERSE
		flags, verb := uint16(create), "add"
		if typ == unix.RTM_DELROUTE {
			flags, verb = 0, "delete"
		}
		body := []nl.NetlinkRequestData{rt, nl.NewRtAttr(unix.RTA_DST, prefix.Addr().AsSlice())}
		msgs = append(msgs, newMessage(typ, flags, body, "%s unreachable route %s", verb, prefix))
	}
	return msgs
}

// defaultMTU is that of the interface to the outside, or 0 where there is none.
func (c *rtnl) defaultMTU() (int, error) {
	for _, dst := range []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, 1}), netip.MustParseAddr("2001:db8::1")} {
		rt := nl.NewRtMsg()
		rt.Family, rt.Dst_len = uint8(family(dst)), uint8(dst.BitLen())
		index := int32(0)
		m := newMessage(unix.RTM_GETROUTE, 0, []nl.NetlinkRequestData{rt, nl.NewRtAttr(unix.RTA_DST, dst.AsSlice())}, "look for the default route")
		err := c.ask(m, func(_ uint16, body []byte) {
			if r, ok := parseRoute(body); ok && r.typ == unix.RTN_UNICAST {
				index = r.index
			}
		})
		if err != nil || index == 0 {
			continue // no route: the other family may have one
		}
		k, err := c.link(linkByIndex(index))
		if err != nil {
			return 0, err
		}
		return k.mtu, nil
	}
	return 0, nil
}

// chosenPool is the pool of last time, or a new choice.
func (d *leaseDir) chosenPool(choose func() (netip.Prefix, error)) (netip.Prefix, error) {
	var chosen struct {
		Version int          `json:"version"`
		IPv4    netip.Prefix `json:"ipv4"`
	}
	path := filepath.Join(d.dir, "pool.json")
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &chosen)
	}
	if err == nil && chosen.Version == leaseVersion && chosen.IPv4.IsValid() {
		return chosen.IPv4, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("the pool chosen earlier cannot be read: choosing anew", "file", path, "error", err)
	}
	chosen.Version = leaseVersion
	if chosen.IPv4, err = choose(); err != nil {
		return netip.Prefix{}, err
	}
	if err := writeFile(path, chosen); err != nil {
		return netip.Prefix{}, fmt.Errorf("write the chosen pool: %w", err)
	}
	return chosen.IPv4, nil
}
