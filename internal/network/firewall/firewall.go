// Package firewall finds rules of others, of nftables and of iptables-legacy, that drop what Pods send or are sent, by reading them:
// each rule is judged for the first packet of a connection of which only the Pod's end is known.
package firewall

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// packet is the first of a connection to or from a Pod, as far as a firewall's rules can be judged without sending it.
type packet struct {
	iif, oif  string // one of them a host end of ours, the other an interface of which nothing is known: ""
	group     uint32
	src, dst  netip.Addr // the Pod's, or zero
	direction string     // "what Pods send" or "what is sent to Pods"
}

// outcome is what a chain does with a packet. A rule with a condition that cannot be judged may apply: an accept by such a
// rule makes a later drop uncertain, a drop by one is not counted.
type outcome struct {
	verdict expr.VerdictKind // VerdictAccept, VerdictDrop; VerdictContinue: nothing decided; VerdictReturn
	chain   string           // where it was decided
	policy  bool             // by the chain's policy
	maybe   bool             // unless an earlier rule accepts
}

// firewall is the rules of one table as they were read.
type firewall struct {
	table  *nftables.Table
	chains map[string]*nftables.Chain
	rules  map[string][]*nftables.Rule
}

const maxJumps = 16 // as deep as the kernel lets chains call each other

// base judges a packet by a base chain and, at its end, the policy.
func (f *firewall) base(c *nftables.Chain, p packet) outcome {
	o := f.chain(c.Name, p, 0)
	if o.verdict == expr.VerdictContinue || o.verdict == expr.VerdictReturn {
		o.verdict, o.chain = expr.VerdictAccept, c.Name
		if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			o.verdict, o.policy = expr.VerdictDrop, true
		}
	}
	return o
}

func (f *firewall) chain(name string, p packet, depth int) outcome {
	o := outcome{verdict: expr.VerdictContinue}
	if depth > maxJumps {
		return outcome{verdict: expr.VerdictContinue, maybe: true}
	}
	for _, rule := range f.rules[name] {
		applies, target, kind := judge(rule.Exprs, p)
		if applies == no {
			continue
		}
		hit := outcome{verdict: kind, chain: name}
		if kind == expr.VerdictJump || kind == expr.VerdictGoto {
			hit = f.chain(target, p, depth+1)
			if kind == expr.VerdictJump && hit.verdict == expr.VerdictReturn {
				hit.verdict = expr.VerdictContinue
			}
			if kind == expr.VerdictGoto && hit.verdict == expr.VerdictContinue {
				hit.verdict = expr.VerdictReturn
			}
		}
		o.maybe = o.maybe || hit.maybe
		switch {
		case hit.verdict == expr.VerdictContinue:
		case applies == yes:
			hit.maybe = o.maybe
			return hit
		case hit.verdict != expr.VerdictDrop:
			o.maybe = true
		}
	}
	return o
}

// truth is of three kinds because most conditions of a firewall are about packets that are not there yet.
type truth int

const (
	no truth = iota
	unknown
	yes
)

// judge says whether a rule applies to a packet, and what it then does.
func judge(exprs []expr.Any, p packet) (applies truth, target string, kind expr.VerdictKind) {
	applies, kind = yes, expr.VerdictContinue
	regs := map[uint32][]byte{} // what is known to be in a register
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Meta:
			if !e.SourceRegister {
				regs[e.Register] = p.meta(e.Key)
			}
		case *expr.Payload:
			regs[e.DestRegister] = p.payload(e)
		case *expr.Ct:
			regs[e.Register] = ct(e.Key)
		case *expr.Bitwise:
			regs[e.DestRegister] = mask(regs[e.SourceRegister], e)
		case *expr.Cmp:
			applies = min(applies, compare(regs[e.Register], e))
		case *expr.Counter, *expr.Log, *expr.Immediate:
		case *expr.Verdict:
			return applies, e.Chain, e.Kind
		case *expr.Reject:
			return applies, "", expr.VerdictDrop
		case *expr.Target:
			if e.Name == "REJECT" || e.Name == "DROP" {
				return applies, "", expr.VerdictDrop
			}
		case *expr.Lookup:
			if e.IsDestRegSet && e.DestRegister == unix.NFT_REG_VERDICT {
				return unknown, "", expr.VerdictAccept // a verdict map: anything may come of it
			}
			applies = min(applies, unknown)
		default:
			applies = min(applies, unknown)
		}
		if applies == no {
			return no, "", kind
		}
	}
	return applies, "", kind
}

func (p packet) meta(key expr.MetaKey) []byte {
	switch key {
	case expr.MetaKeyIIFNAME:
		return p.name(p.iif)
	case expr.MetaKeyOIFNAME:
		return p.name(p.oif)
	case expr.MetaKeyIIFGROUP:
		return p.groupOf(p.iif)
	case expr.MetaKeyOIFGROUP:
		return p.groupOf(p.oif)
	case expr.MetaKeyNFPROTO:
		if p.src.Is4() || p.dst.Is4() {
			return []byte{unix.NFPROTO_IPV4}
		}
		return []byte{unix.NFPROTO_IPV6}
	}
	return nil
}

// name is an interface's in a register. Of the other interface it is only known that it is not one of ours and not lo; a
// rule about a certain one is taken not to be about it.
func (p packet) name(iface string) []byte {
	if iface == "" {
		iface = "\x01other"
	}
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, iface)
	return b
}

func (p packet) groupOf(iface string) []byte {
	if iface == "" {
		return make([]byte, 4)
	}
	return binary.NativeEndian.AppendUint32(nil, p.group)
}

func (p packet) payload(e *expr.Payload) []byte {
	if e.Base != expr.PayloadBaseNetworkHeader {
		return nil
	}
	// Where addresses are in the two headers, and how long.
	at, size, src, dst := p.src, uint32(4), uint32(12), uint32(16)
	if p.src.Is6() || p.dst.Is6() {
		size, src, dst = 16, 8, 24
	}
	offset := src
	if e.Offset >= dst {
		offset, at = dst, p.dst
	}
	if !at.IsValid() || e.Offset < offset || e.Offset+e.Len > offset+size {
		return nil
	}
	return at.AsSlice()[e.Offset-offset : e.Offset-offset+e.Len]
}

func ct(key expr.CtKey) []byte {
	switch key {
	case expr.CtKeySTATE:
		return binary.NativeEndian.AppendUint32(nil, expr.CtStateBitNEW)
	case expr.CtKeySTATUS:
		return make([]byte, 4)
	}
	return nil
}

func mask(b []byte, e *expr.Bitwise) []byte {
	if len(b) < len(e.Mask) || len(e.Mask) != len(e.Xor) {
		return nil
	}
	out := make([]byte, len(e.Mask))
	for i := range e.Mask {
		out[i] = b[i]&e.Mask[i] ^ e.Xor[i]
	}
	return out
}

func compare(b []byte, e *expr.Cmp) truth {
	if b == nil || len(b) < len(e.Data) {
		return unknown
	}
	equal := bytes.Equal(b[:len(e.Data)], e.Data)
	switch {
	case e.Op == expr.CmpOpEq && equal, e.Op == expr.CmpOpNeq && !equal:
		return yes
	case e.Op == expr.CmpOpEq, e.Op == expr.CmpOpNeq:
		return no
	}
	return unknown
}

// Pods is how rules can know the packets of Pods.
type Pods struct {
	Link  string // a host end's name
	Group uint32 // of all host ends
	IPs   []netip.Addr
}

// Dropping looks through the forward chains of every table but ours, and of the tables of the time before nftables, for one that
// drops Pods' packets, and says in words which, and what to do.
func Dropping(ours string, pods Pods) ([]string, error) {
	conn, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("open an nftables socket: %w", err)
	}
	chains, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("list nftables chains: %w", err)
	}
	var found []string
	for _, c := range chains {
		if c.Table.Name == ours || c.Hooknum == nil || *c.Hooknum != *nftables.ChainHookForward || c.Type != nftables.ChainTypeFilter {
			continue
		}
		if f := c.Table.Family; f != nftables.TableFamilyIPv4 && f != nftables.TableFamilyIPv6 && f != nftables.TableFamilyINet {
			continue
		}
		fw, err := readFirewall(conn, c.Table, chains)
		if err != nil {
			return nil, err
		}
		for _, p := range pods.packets(c.Table.Family) {
			if o := fw.base(c, p); o.verdict == expr.VerdictDrop {
				found = append(found, fw.words(c, p, o))
			}
		}
	}
	for _, l := range legacies() {
		if len(pods.packets(l.nftables)) == 0 {
			continue
		}
		more, err := l.dropping(pods)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func readFirewall(conn *nftables.Conn, t *nftables.Table, chains []*nftables.Chain) (*firewall, error) {
	fw := &firewall{table: t, chains: map[string]*nftables.Chain{}, rules: map[string][]*nftables.Rule{}}
	for _, c := range chains {
		if c.Table.Name != t.Name || c.Table.Family != t.Family {
			continue
		}
		rules, err := conn.GetRules(t, c)
		if err != nil {
			return nil, fmt.Errorf("list rules of nftables table %s %s, chain %s: %w", familyName(t.Family), t.Name, c.Name, err)
		}
		fw.chains[c.Name], fw.rules[c.Name] = c, rules
	}
	return fw, nil
}

// packets are those that a table of this family sees, from a Pod and to one.
func (p Pods) packets(f nftables.TableFamily) []packet {
	for _, ip := range p.IPs {
		if f == nftables.TableFamilyIPv6 && ip.Is4() {
			continue
		}
		return []packet{
			{iif: p.Link, group: p.Group, src: ip, direction: "what Pods send"},
			{oif: p.Link, group: p.Group, dst: ip, direction: "what is sent to Pods"},
		}
	}
	return nil
}

func (f *firewall) words(base *nftables.Chain, p packet, o outcome) string {
	fam := familyName(f.table.Family)
	where := "rule of chain " + o.chain
	if o.policy {
		where = "policy of chain " + base.Name
	}
	verb, unless := "drops", ""
	if o.maybe {
		verb, unless = "may drop", ", unless an earlier rule accepts it"
	}
	match := "iifname"
	if p.oif != "" {
		match = "oifname"
	}
	return fmt.Sprintf(`nftables table %s %s %s %s (%s)%s: nft insert rule %s %s %s %s "hull*" accept`,
		fam, f.table.Name, verb, p.direction, where, unless, fam, f.table.Name, base.Name, match)
}

func familyName(f nftables.TableFamily) string {
	switch f {
	case nftables.TableFamilyIPv4:
		return "ip"
	case nftables.TableFamilyIPv6:
		return "ip6"
	case nftables.TableFamilyINet:
		return "inet"
	}
	return fmt.Sprintf("of family %d", f)
}
