package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/network/addresses"
	"github.com/hull-pods/hull/internal/network/instances"
	"github.com/hull-pods/hull/internal/network/rtnl"
	"github.com/hull-pods/hull/internal/network/sysctl"
)

// opening is a Network that finds out what it has.
type opening struct{ *Network }

// Open puts the instance's nftables table in place, switches forwarding on and adopts the sandboxes of earlier runs.
func Open(ctx context.Context, cfg Config) (n *Network, err error) {
	n = &Network{
		cfg: cfg, log: cfg.Log, sys: sysctl.Host, book: newPortBook(),
		names: map[string]bool{}, grace: defaultGrace, closing: make(chan struct{}),
	}
	o := opening{n}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open the network: %w", errors.Join(err, o.retreat()))
			n = nil
		}
	}()
	if n.group, err = group(cfg.Instance); err != nil {
		return n, err
	}
	if n.ipv6, err = n.sys.HasIPv6(); err != nil {
		return n, err
	}
	if n.dir, err = openLeaseLog(cfg.StateDir, n.log); err != nil {
		return n, err
	}
	if err := o.sockets(); err != nil {
		return n, err
	}
	if err := o.settle(); err != nil {
		return n, err
	}
	if n.table, err = newForwarder(cfg.Instance, n.group, n.pool.Of(addresses.Host)); err != nil {
		return n, err
	}
	if err := o.adopt(); err != nil {
		return n, err
	}
	if err := ctx.Err(); err != nil {
		return n, err
	}
	return n, n.Repair(ctx)
}

// retreat closes what was opened. What was made for Pods that are not there goes too: no later call would.
func (n opening) retreat() error {
	if n.self == nil || !n.self.Settled() || len(n.dir.leases) > 0 {
		return n.Close()
	}
	pods, err := n.ownLinks()
	if err == nil && len(pods) == 0 {
		err = n.self.Remove()
	}
	return errors.Join(err, n.Close())
}

// settle takes the pools and makes what holds them together, while no other Hull of this machine does.
func (n opening) settle() error {
	return n.self.Settle(func() error {
		if err := n.choosePool(); err != nil {
			return err
		}
		return n.host.Use(n.makeHome)
	})
}

// sockets opens all that speaks to the host's namespace, before any thread of ours enters another.
func (n opening) sockets() (err error) {
	if n.host, err = rtnl.NewPool(); err != nil {
		return err
	}
	n.self = &instances.Instance{ID: n.cfg.Instance, Group: n.group, Host: n.host, Log: n.log, Bury: n.cfg.Bury}
	if n.watch, err = rtnl.Watch(n.linkExists, n.log); err != nil {
		return err
	}
	if n.track, err = netlink.NewHandle(unix.NETLINK_NETFILTER); err != nil {
		return fmt.Errorf("open a conntrack socket: %w", err)
	}
	n.mtu = n.cfg.MTU
	if n.mtu == 0 {
		return n.host.Use(func(c *rtnl.Conn) (err error) {
			n.mtu, err = c.DefaultMTU()
			return err
		})
	}
	return nil
}

// choosePool takes the pools that were given, those of last time, or ones that no route of the host overlaps.
func (n opening) choosePool() error {
	v4, v6 := n.cfg.IPv4, n.cfg.IPv6
	if !v6.IsValid() {
		v6 = addresses.DefaultIPv6(n.cfg.Instance)
	}
	if !n.ipv6 {
		v6 = netip.Prefix{}
		n.log.Info("this host has no IPv6: Pods get IPv4 alone")
	}
	if !v4.IsValid() {
		lost := func(p netip.Prefix) bool { return len(n.dir.leases) == 0 && n.self.Lost(p) }
		var err error
		if v4, err = chosenPool(n.cfg.StateDir, n.log, lost, n.self.Free); err != nil {
			return err
		}
	}
	var err error
	n.pool, err = addresses.New(v4, v6, n.dir.next)
	return err
}

// adopt brings leases and links together. A link of ours whose lease is lost says in its alias what it was.
func (n opening) adopt() error {
	n.leases = maps.Clone(n.dir.leases)
	byName := map[string]*lease{}
	for _, l := range n.leases {
		if l.Interface != "" {
			byName[l.Interface] = l
		}
	}
	links, err := n.ownLinks()
	if err != nil {
		return err
	}
	for _, k := range links {
		id, ips, ok := parseAlias(n.cfg.Instance, k.Alias)
		l := n.leases[id]
		switch {
		case ok && l == nil:
			l = leaseOf(id, k.Name, ips)
			if err := n.dir.save(l, 0); err != nil {
				return err
			}
			n.leases[id] = l
		case !ok && byName[k.Name] != nil: // made, but hulld died before it got its alias
			l = byName[k.Name]
		case !ok:
			if err := n.host.Use(func(c *rtnl.Conn) error { return deleteOn(c, k.Index) }); err != nil {
				return err
			}
			continue
		}
		l.index = k.Index
	}
	for _, l := range n.leases {
		n.names[l.Interface] = true
		n.pool.Mark(l.ips())
		err := n.book.enter(l)
		if err == nil { // else the table would have a port twice, which the kernel refuses as a whole
			n.table.adopt(l)
			err = n.holdAgain(l)
		}
		if err != nil {
			n.log.Warn("a host port could not be held again", "sandbox", l.ID, "error", err)
		}
	}
	return nil
}

// leaseOf is a lease that is lost, by what its link says.
func leaseOf(id, link string, ips []netip.Addr) *lease {
	l := &lease{ID: id, Interface: link}
	for _, ip := range ips {
		if ip.Is4() {
			l.IPv4 = ip
		} else {
			l.IPv6 = ip
		}
	}
	return l
}

// holdAgain binds a Pod's ports once more. One that somebody took meanwhile still goes to the Pod: Check says so.
func (n opening) holdAgain(l *lease) error {
	if len(l.ips()) == 0 {
		return nil // its processes have the ports
	}
	var errs []error
	for _, c := range claims(l) {
		if err := holdOne(l, c); err != nil {
			l.lost = append(l.lost, c)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
