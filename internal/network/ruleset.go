package network

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/network/instances"
)

// The rules of an instance, whatever the number of its Pods (G is the group of their links):
//
//	chain guard       prerouting, raw: what a Pod must not send
//	    from G, to 127.0.0.0/8            drop   route_localnet would let it reach the host's loopback
//	    from G, ICMP redirect             drop   a Pod does not tell the host where to send
//	    from G, router advert, redirect   drop
//	    from G, source not of that Pod    drop
//	chain prerouting  nat: to an address of the host → ports
//	chain output      nat: to an address of the host, ::1 apart → ports
//	chain ports       dnat by map: first (address, protocol, port), then (protocol, port)
//	chain postrouting nat
//	    source and destination the same Pod    from the host's address   it spoke to its own host port
//	    from 127.0.0.0/8 to G                  from the host's address
//	    from G to elsewhere                    masquerade
//	chain refuse      output: ::1 and a host port → refused, as IPv6 has no route_localnet
//
// Pods are known by their links' group and not by their addresses, so the pool may change. Each Pod with host ports has
// elements in the maps, with its ID as comment; a Pod without has nothing here.
type ruleset struct {
	table  *nftables.Table
	chains []*nftables.Chain
	sets   []*nftables.Set
	rules  []*nftables.Rule
}

// Names of the sets.
const (
	setPorts   = "ports"    // ports4: protocol . port : Pod's address . port
	setPortsAt = "ports_at" // ports_at4: host's address . protocol . port : Pod's address . port
	setHairpin = "hairpin"  // hairpin4: Pod's address . the same
	setRefused = "refused6" // protocol . port
)

func newRuleset(instance string, group uint32, hostIPs []netip.Addr) *ruleset {
	t := &nftables.Table{Name: instances.Table(instance), Family: nftables.TableFamilyINet}
	r := &ruleset{table: t}
	guard := r.base("guard", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	pre := r.base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	out := r.base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	post := r.base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	refuse := r.base("refuse", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityFilter)
	ports := &nftables.Chain{Name: "ports", Table: t}
	r.chains = append(r.chains, ports)

	for _, f := range []inet{inet4, inet6} {
		r.set(setPorts+f.suffix, []nftables.SetDatatype{nftables.TypeInetProto, nftables.TypeInetService}, f.addrType, nftables.TypeInetService)
		r.set(setPortsAt+f.suffix, []nftables.SetDatatype{f.addrType, nftables.TypeInetProto, nftables.TypeInetService}, f.addrType, nftables.TypeInetService)
		r.set(setHairpin+f.suffix, []nftables.SetDatatype{f.addrType, f.addrType})
	}
	r.set(setRefused, []nftables.SetDatatype{nftables.TypeInetProto, nftables.TypeInetService})

	loopback4 := netip.MustParsePrefix("127.0.0.0/8")
	drop := verdict(expr.VerdictDrop, "")
	from := groupIs(expr.MetaKeyIIFGROUP, expr.CmpOpEq, group)
	r.rule(guard, from, inet4.is(), inet4.destination(loopback4), drop)
	r.rule(guard, from, protocolIs(unix.IPPROTO_ICMP), icmpType(5), drop)
	r.rule(guard, from, protocolIs(unix.IPPROTO_ICMPV6), icmpType(134), drop)
	r.rule(guard, from, protocolIs(unix.IPPROTO_ICMPV6), icmpType(137), drop)
	r.rule(guard, from, sourceUnknown(), drop)

	jump := verdict(expr.VerdictJump, "ports")
	r.rule(pre, toHost(), jump)
	r.rule(out, inet6.is(), inet6.destination(netip.MustParsePrefix("::1/128")), verdict(expr.VerdictReturn, ""))
	r.rule(out, toHost(), jump)
	for _, f := range []inet{inet4, inet6} {
		r.rule(ports, f.is(), f.loadDestination(1), loadPort(f.after(1)), r.lookup(setPortsAt+f.suffix), f.dnat())
		r.rule(ports, f.is(), loadPort(1), r.lookup(setPorts+f.suffix), f.dnat())
	}

	for i, ip := range hostIPs {
		f := []inet{inet4, inet6}[i]
		r.rule(post, f.is(), f.loadSource(1), f.loadDestination(f.after(1)), r.contains(setHairpin+f.suffix), f.snat(ip))
		if ip.Is4() {
			r.rule(post, groupIs(expr.MetaKeyOIFGROUP, expr.CmpOpEq, group), f.is(), f.source(loopback4), f.snat(ip))
		}
	}
	r.rule(post, from, groupIs(expr.MetaKeyOIFGROUP, expr.CmpOpNeq, group), []expr.Any{&expr.Masq{FullyRandom: true}})

	toLoopback := [][]expr.Any{inet6.is(), inet6.destination(netip.MustParsePrefix("::1/128")), loadPort(1), r.contains(setRefused)}
	r.rule(refuse, append(toLoopback, protocolIs(unix.IPPROTO_TCP), []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}})...)
	r.rule(refuse, append(toLoopback, []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_PORT_UNREACH}})...)
	return r
}

func (r *ruleset) base(name string, typ nftables.ChainType, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
	accept := nftables.ChainPolicyAccept
	c := &nftables.Chain{Name: name, Table: r.table, Type: typ, Hooknum: hook, Priority: prio, Policy: &accept}
	r.chains = append(r.chains, c)
	return c
}

// set adds a set, or a map where values are given.
func (r *ruleset) set(name string, key []nftables.SetDatatype, val ...nftables.SetDatatype) {
	s := &nftables.Set{Table: r.table, ID: uint32(len(r.sets) + 1), Name: name, Concatenation: true, KeyType: nftables.MustConcatSetType(key...)}
	if len(val) > 0 {
		s.IsMap, s.DataType = true, nftables.MustConcatSetType(val...)
	}
	r.sets = append(r.sets, s)
}

func (r *ruleset) setNamed(name string) *nftables.Set {
	for _, s := range r.sets {
		if s.Name == name {
			return s
		}
	}
	panic("no set " + name)
}

func (r *ruleset) rule(c *nftables.Chain, parts ...[]expr.Any) {
	rule := &nftables.Rule{Table: r.table, Chain: c}
	for _, p := range parts {
		rule.Exprs = append(rule.Exprs, p...)
	}
	r.rules = append(r.rules, rule)
}

// lookup replaces the key in register 1 by the map's value, or ends the rule.
func (r *ruleset) lookup(name string) []expr.Any {
	s := r.setNamed(name)
	return []expr.Any{&expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: s.Name, SetID: s.ID}}
}

func (r *ruleset) contains(name string) []expr.Any {
	s := r.setNamed(name)
	return []expr.Any{&expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}}
}

// inet is one family: where its addresses are in the packet, and how many registers of four bytes one takes.
type inet struct {
	suffix   string
	proto    byte
	size     uint32
	src, dst uint32 // offsets in the network header
	addrType nftables.SetDatatype
}

var (
	inet4 = inet{"4", unix.NFPROTO_IPV4, 4, 12, 16, nftables.TypeIPAddr}
	inet6 = inet{"6", unix.NFPROTO_IPV6, 16, 8, 24, nftables.TypeIP6Addr}
)

// after is the register behind an address that begins in register reg. Register 1 is of 16 bytes, and 8 to 11 are its quarters.
func (f inet) after(reg uint32) uint32 {
	if reg == 1 {
		reg = unix.NFT_REG32_00
	}
	return reg + f.size/4
}

func (f inet) is() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, equal([]byte{f.proto})}
}

func (f inet) loadSource(reg uint32) []expr.Any      { return f.load(reg, f.src) }
func (f inet) loadDestination(reg uint32) []expr.Any { return f.load(reg, f.dst) }

func (f inet) load(reg, offset uint32) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: reg, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: f.size}}
}

func (f inet) source(p netip.Prefix) []expr.Any      { return f.within(f.src, p) }
func (f inet) destination(p netip.Prefix) []expr.Any { return f.within(f.dst, p) }

// within compares whole bytes: the prefixes here end at one.
func (f inet) within(offset uint32, p netip.Prefix) []expr.Any {
	n := uint32(p.Bits() / 8)
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: n}, equal(p.Addr().AsSlice()[:n])}
}

func (f inet) dnat() []expr.Any {
	return []expr.Any{&expr.NAT{Type: expr.NATTypeDestNAT, Family: uint32(f.proto), RegAddrMin: 1, RegProtoMin: f.after(1)}}
}

func (f inet) snat(ip netip.Addr) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: ip.AsSlice()},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(f.proto), RegAddrMin: 1, FullyRandom: true},
	}
}

func equal(data []byte) *expr.Cmp { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data} }

func groupIs(key expr.MetaKey, op expr.CmpOp, group uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: binaryutil.NativeEndian.PutUint32(group)}}
}

func protocolIs(proto byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{proto})}
}

func icmpType(typ byte) []expr.Any {
	return []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Len: 1}, equal([]byte{typ})}
}

// sourceUnknown is a packet whose source has no route back by the link that it came from.
func sourceUnknown() []expr.Any {
	return []expr.Any{&expr.Fib{Register: 1, FlagSADDR: true, FlagIIF: true, FlagPRESENT: true, ResultOIF: true}, equal(make([]byte, 4))}
}

// toHost is a packet for an address of the host itself.
func toHost() []expr.Any {
	return []expr.Any{&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true}, equal(binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL))}
}

// loadPort loads protocol and destination port, which TCP, UDP and SCTP have in the same place.
func loadPort(reg uint32) []expr.Any {
	next := reg + 1
	if reg == 1 {
		next = unix.NFT_REG32_00 + 1
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg},
		&expr.Payload{DestRegister: next, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
}

func verdict(kind expr.VerdictKind, chain string) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: kind, Chain: chain}}
}

// element is one entry of one set.
type element struct {
	set  string
	elem nftables.SetElement
}

// elements are a sandbox's entries: one for each host port and family, and one that lets it reach its own.
func elements(l *lease) []element {
	if len(l.ips()) == 0 {
		return nil // its processes bind the host's ports themselves
	}
	var all []element
	hairpin := map[netip.Addr]bool{}
	for _, c := range claims(l) {
		pod := l.IPv4
		f := inet4
		if c.addr.Is6() {
			pod, f = l.IPv6, inet6
		}
		port := []byte{protocols[c.proto].number, 0, 0, 0}
		port = append(port, portBytes(c.port)...)
		val := append(pod.AsSlice(), portBytes(c.target)...)
		name, key := setPorts+f.suffix, port
		if !c.addr.IsUnspecified() {
			name, key = setPortsAt+f.suffix, append(c.addr.AsSlice(), port...)
		} else if c.addr.Is6() {
			all = append(all, element{setRefused, nftables.SetElement{Key: port, Comment: l.ID}})
		}
		all = append(all, element{name, nftables.SetElement{Key: key, Val: val, Comment: l.ID}})
		if !hairpin[pod] {
			hairpin[pod] = true
			all = append(all, element{setHairpin + f.suffix, nftables.SetElement{Key: append(pod.AsSlice(), pod.AsSlice()...), Comment: l.ID}})
		}
	}
	return all
}

// portBytes is a port in a register: the first two bytes of four.
func portBytes(port uint16) []byte { return append(binary.BigEndian.AppendUint16(nil, port), 0, 0) }
