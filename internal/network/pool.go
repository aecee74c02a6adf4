package network

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/containerd/errdefs"
)

// pool hands out numbers, and both families' addresses are the prefix plus the number: 10.88.0.5 goes with fdab::5. The
// search goes round, so that an address that was given back rests as long as it can: a connection that still knows it
// must not meet another Pod.
type pool struct {
	v4, v6 netip.Prefix // v6 is zero on a host without IPv6
	size   uint32       // numbers below it can be had; 0 is the network, 1 the host
	next   uint32
	used   map[uint32]bool
}

const (
	hostNumber  = 1
	firstNumber = 2
	maxNumbers  = 1 << 20
)

func newPool(v4, v6 netip.Prefix, next uint32) (*pool, error) {
	p := &pool{v4: v4.Masked(), v6: v6.Masked(), size: maxNumbers, next: next, used: map[uint32]bool{}}
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

// take finds the next free number.
func (p *pool) take() (uint32, error) {
	free := p.size - firstNumber
	if len(p.used) >= int(free) {
		return 0, fmt.Errorf("no free address: all %d of pool %s are taken: %w", free, p.v4, errdefs.ErrResourceExhausted)
	}
	for {
		n := p.next
		if n < firstNumber || n >= p.size {
			n = firstNumber
		}
		p.next = n + 1
		if !p.used[n] {
			p.used[n] = true
			return n, nil
		}
	}
}

// mark takes the numbers that belong to these addresses, as far as they are of this pool.
func (p *pool) mark(ips []netip.Addr) {
	for _, ip := range ips {
		if n, ok := p.number(ip); ok {
			p.used[n] = true
		}
	}
}

// put gives back what mark or take took.
func (p *pool) put(ips []netip.Addr) {
	for _, ip := range ips {
		if n, ok := p.number(ip); ok {
			delete(p.used, n)
		}
	}
}

// addresses are those of a number, IPv4 first.
func (p *pool) addresses(n uint32) []netip.Addr {
	base := p.v4.Addr().As4()
	binary.BigEndian.PutUint32(base[:], binary.BigEndian.Uint32(base[:])+n)
	ips := []netip.Addr{netip.AddrFrom4(base)}
	if p.v6.IsValid() {
		b := p.v6.Addr().As16()
		binary.BigEndian.PutUint32(b[12:], binary.BigEndian.Uint32(b[12:])+n)
		ips = append(ips, netip.AddrFrom16(b))
	}
	return ips
}

func (p *pool) number(ip netip.Addr) (uint32, bool) {
	switch {
	case p.v4.Contains(ip):
		base, b := p.v4.Addr().As4(), ip.As4()
		n := binary.BigEndian.Uint32(b[:]) - binary.BigEndian.Uint32(base[:])
		return n, n >= firstNumber && n < p.size
	case p.v6.IsValid() && p.v6.Contains(ip):
		base, b := p.v6.Addr().As16(), ip.As16()
		n := binary.BigEndian.Uint32(b[12:]) - binary.BigEndian.Uint32(base[12:])
		return n, n >= firstNumber && n < p.size && [12]byte(b[:12]) == [12]byte(base[:12])
	}
	return 0, false
}

// defaultIPv6 is the instance's own ULA /64 (RFC 4193: fd and 40 bits that nobody else is likely to have).
func defaultIPv6(instance string) netip.Prefix {
	sum := sha256.Sum256([]byte("hull network " + instance))
	b := [16]byte{0: 0xfd}
	copy(b[1:6], sum[:])
	return netip.PrefixFrom(netip.AddrFrom16(b), 64)
}

// defaultIPv4 are the pools that are tried in order when none was given: 10.88 to 10.127.
func defaultIPv4() []netip.Prefix {
	var all []netip.Prefix
	for i := byte(88); i < 128; i++ {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, i}), 16))
	}
	return all
}
