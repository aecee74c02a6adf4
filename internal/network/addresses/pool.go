// Package addresses hands out Pods' addresses: a number at a time, of one pool for each family.
package addresses

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/containerd/errdefs"
)

// Pool hands out numbers, and both families' addresses are the prefix plus the number: 10.88.0.5 goes with fdab::5. The
// search goes round, so that an address that was given back rests as long as it can: a connection that still knows it
// must not meet another Pod.
type Pool struct {
	V4, V6 netip.Prefix // V6 is zero on a host without IPv6
	Next   uint32       // where the search goes on
	size   uint32       // numbers below it can be had; 0 is the network, 1 the host
	used   map[uint32]bool
}

// Numbers that mean something.
const (
	Host  = 1 // the host's own
	First = 2 // of a Pod

	maxNumbers = 1 << 20
)

// New makes a pool of these prefixes, of which nothing is taken.
func New(v4, v6 netip.Prefix, next uint32) (*Pool, error) {
	p := &Pool{V4: v4.Masked(), V6: v6.Masked(), Next: next, size: maxNumbers, used: map[uint32]bool{}}
	if !v4.IsValid() || !v4.Addr().Is4() || v4.Bits() > 29 {
		return nil, fmt.Errorf("IPv4 pool %s: want a prefix of at most 29 bits: %w", v4, errdefs.ErrInvalidArgument)
	}
	p.size = min(p.size, 1<<(32-v4.Bits())-1) // the last one is a broadcast address to some
	if v6.IsValid() {
		if !v6.Addr().Is6() || v6.Addr().Is4In6() || v6.Bits() > 120 {
			return nil, fmt.Errorf("IPv6 pool %s: want a prefix of at most 120 bits: %w", v6, errdefs.ErrInvalidArgument)
		}
		p.size = min(p.size, 1<<min(128-v6.Bits(), 31))
	}
	return p, nil
}

// Take finds the next free number.
func (p *Pool) Take() (uint32, error) {
	free := p.size - First
	if p.InUse() >= int(free) {
		return 0, fmt.Errorf("no free address: all %d of pool %s are taken: %w", free, p.V4, errdefs.ErrResourceExhausted)
	}
	for {
		n := p.Next
		if n < First || n >= p.size {
			n = First
		}
		p.Next = n + 1
		if !p.used[n] {
			p.used[n] = true
			return n, nil
		}
	}
}

// InUse is how many numbers are taken.
func (p *Pool) InUse() int { return len(p.used) }

// Mark takes the numbers that belong to these addresses, as far as they are of this pool.
func (p *Pool) Mark(ips []netip.Addr) {
	for _, ip := range ips {
		if n, ok := p.number(ip); ok {
			p.used[n] = true
		}
	}
}

// Put gives back what Mark or Take took.
func (p *Pool) Put(ips []netip.Addr) {
	for _, ip := range ips {
		if n, ok := p.number(ip); ok {
			delete(p.used, n)
		}
	}
}

// Of are the addresses of a number, IPv4 first.
func (p *Pool) Of(n uint32) []netip.Addr {
	base := p.V4.Addr().As4()
	binary.BigEndian.PutUint32(base[:], binary.BigEndian.Uint32(base[:])+n)
	ips := []netip.Addr{netip.AddrFrom4(base)}
	if p.V6.IsValid() {
		b := p.V6.Addr().As16()
		binary.BigEndian.PutUint32(b[12:], binary.BigEndian.Uint32(b[12:])+n)
		ips = append(ips, netip.AddrFrom16(b))
	}
	return ips
}

func (p *Pool) number(ip netip.Addr) (uint32, bool) {
	switch {
	case p.V4.Contains(ip):
		base, b := p.V4.Addr().As4(), ip.As4()
		n := binary.BigEndian.Uint32(b[:]) - binary.BigEndian.Uint32(base[:])
		return n, n >= First && n < p.size
	case p.V6.IsValid() && p.V6.Contains(ip):
		base, b := p.V6.Addr().As16(), ip.As16()
		n := binary.BigEndian.Uint32(b[12:]) - binary.BigEndian.Uint32(base[12:])
		return n, n >= First && n < p.size && [12]byte(b[:12]) == [12]byte(base[:12])
	}
	return 0, false
}

// DefaultIPv6 is the instance's own ULA /64 (RFC 4193: fd and 40 bits that nobody else is likely to have).
func DefaultIPv6(instance string) netip.Prefix {
	sum := sha256.Sum256([]byte("hull network " + instance))
	b := [16]byte{0: 0xfd}
	copy(b[1:6], sum[:])
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// DefaultIPv4 are the pools that are tried in order when none was given: 10.88 to 10.127.
func DefaultIPv4() []netip.Prefix {
	var all []netip.Prefix
	for i := byte(88); i < 128; i++ {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, i}), 16))
	}
	return all
}
