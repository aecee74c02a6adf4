package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/network/holder"
)

// protocols are those that a host port can have.
var protocols = map[string]struct {
	number byte
	typ    int // of a socket
}{
	"TCP":  {unix.IPPROTO_TCP, unix.SOCK_STREAM},
	"UDP":  {unix.IPPROTO_UDP, unix.SOCK_DGRAM},
	"SCTP": {unix.IPPROTO_SCTP, unix.SOCK_STREAM},
}

// claim is one host port in one family, at one address or, where that is unspecified, at all.
type claim struct {
	addr   netip.Addr
	proto  string
	port   uint16
	target uint16 // the container's
}

func (c claim) String() string {
	s := strconv.Itoa(int(c.port)) + "/" + c.proto
	if !c.addr.IsUnspecified() {
		s += " of " + c.addr.String()
	}
	return s
}

func (c claim) overlaps(o claim) bool {
	return c.proto == o.proto && c.port == o.port && c.addr.Is4() == o.addr.Is4() &&
		(c.addr == o.addr || c.addr.IsUnspecified() || o.addr.IsUnspecified())
}

// claims are a lease's host ports. A port without a host IP is claimed in each family that the Pod has; a sandbox on the
// host's network has both.
func claims(l *lease) []claim {
	var all []claim
	for _, p := range l.Ports {
		addrs := []netip.Addr{p.HostIP}
		if !p.HostIP.IsValid() {
			addrs = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
		}
		for _, a := range addrs {
			if a.Is6() && l.IPv4.IsValid() && !l.IPv6.IsValid() {
				continue
			}
			all = append(all, claim{a.Unmap(), p.Protocol, p.HostPort, p.ContainerPort})
		}
	}
	return all
}

// checkPorts fills in the protocol and refuses what cannot be done.
func checkPorts(ports []Port, ipv6, attached bool) ([]Port, error) {
	var out []Port
	for _, p := range ports {
		if p.Protocol == "" {
			p.Protocol = "TCP"
		}
		p.HostIP = p.HostIP.Unmap()
		bad := ""
		switch _, known := protocols[p.Protocol]; {
		case !known:
			bad = "protocol " + strconv.Quote(p.Protocol) + " is not TCP, UDP or SCTP"
		case p.HostPort == 0 || attached && p.ContainerPort == 0:
			bad = "port 0"
		case p.HostIP.Zone() != "":
			bad = "host IP " + p.HostIP.String() + " has a zone"
		case attached && p.HostIP.Is6() && !ipv6:
			bad = "host IP " + p.HostIP.String() + ": Pods have no IPv6 on this host"
		case attached && p.HostIP.Is6() && p.HostIP.IsLoopback():
			bad = "host IP ::1: Linux cannot forward from the IPv6 loopback; 127.0.0.1 works"
		}
		if bad != "" {
			return nil, fmt.Errorf("host port %d: %s: %w", p.HostPort, bad, errdefs.ErrInvalidArgument)
		}
		out = append(out, p)
	}
	return out, nil
}

// held is a socket that keeps a host port from being taken by others on the host. Nothing ever comes to it: packets for
// the port are on their way to the Pod before they could.
type held int

func (h held) release() { _ = unix.Close(int(h)) }

// hold binds the port, so that nobody else has it or gets it. The address may be one that the host does not have yet.
func hold(c claim) (held, error) {
	fam := unix.AF_INET
	if c.addr.Is6() {
		fam = unix.AF_INET6
	}
	p := protocols[c.proto]
	fd, err := unix.Socket(fam, p.typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(p.number))
	if err != nil {
		return -1, err
	}
	if err := bind(fd, c); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return held(fd), nil
}

func bind(fd int, c claim) error {
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: int(c.port), Addr: c.addr4()}
	level, freebind := unix.IPPROTO_IP, unix.IP_FREEBIND
	if c.addr.Is6() {
		sa = &unix.SockaddrInet6{Port: int(c.port), Addr: c.addr.As16()}
		level, freebind = unix.IPPROTO_IPV6, unix.IPV6_FREEBIND
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	if err := unix.SetsockoptInt(fd, level, freebind, 1); err != nil {
		return err
	}
	if c.proto == "UDP" {
		return unix.Bind(fd, sa)
	}
	// Connections of the past may still be in TIME_WAIT; listening then keeps out those who say the same of themselves.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, sa); err != nil {
		return err
	}
	backlog := 0
	if c.proto == "SCTP" {
		backlog = 1 // where 0 is the end of listening
	}
	return unix.Listen(fd, backlog)
}

func (c claim) addr4() [4]byte {
	if c.addr.Is4() {
		return c.addr.As4()
	}
	return [4]byte{}
}

// portBook knows which sandbox has which host port.
type portBook struct {
	mu    sync.Mutex
	taken map[portKey][]taken
}

type portKey struct {
	proto string
	port  uint16
}

type taken struct {
	claim
	by *lease
}

func newPortBook() *portBook { return &portBook{taken: map[portKey][]taken{}} }

// portTaken is a host port that somebody else has.
type portTaken struct {
	claim claim
	by    string
}

// Error says it without its class' own words.
func (e *portTaken) Error() string {
	return fmt.Sprintf("host port %s is already used by %s", e.claim, e.by)
}

// Unwrap is the error's class.
func (*portTaken) Unwrap() error { return errdefs.ErrAlreadyExists }

// enter notes a lease's ports, all or none.
func (b *portBook) enter(l *lease) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range claims(l) {
		key := portKey{c.proto, c.port}
		for _, t := range b.taken[key] {
			if t.overlaps(c) {
				b.strike(l)
				return &portTaken{c, t.by.holder()}
			}
		}
		b.taken[key] = append(b.taken[key], taken{c, l})
	}
	return nil
}

// leave takes a lease's ports out.
func (b *portBook) leave(l *lease) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.strike(l)
}

func (b *portBook) strike(l *lease) {
	for _, c := range claims(l) {
		key := portKey{c.proto, c.port}
		var rest []taken
		for _, t := range b.taken[key] {
			if t.by != l {
				rest = append(rest, t)
			}
		}
		if b.taken[key] = rest; rest == nil {
			delete(b.taken, key)
		}
	}
}

// holdAll binds a lease's ports on the host, all or none.
func holdAll(l *lease) error {
	for _, c := range claims(l) {
		if err := holdOne(l, c); err != nil {
			releaseAll(l)
			return err
		}
	}
	return nil
}

// holdOne binds one. A port that a process has is an error that names it.
func holdOne(l *lease, c claim) error {
	h, err := hold(c)
	switch {
	case err == nil:
		l.held = append(l.held, h)
		return nil
	case cannotHold(err):
		return nil
	case errors.Is(err, unix.EADDRINUSE):
		return &portTaken{c, holder.Of(c.proto, c.addr, c.port)}
	}
	return fmt.Errorf("claim host port %s: %w", c, err)
}

// cannotHold is a protocol or family without sockets here: SCTP is often a module that is not loaded, and its rules work
// without it.
func cannotHold(err error) bool {
	return errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ESOCKTNOSUPPORT) || errors.Is(err, unix.EAFNOSUPPORT)
}

func releaseAll(l *lease) {
	for _, h := range l.held {
		h.release()
	}
	l.held = nil
}
