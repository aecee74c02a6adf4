package network

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/network/addresses"
	"github.com/hull-pods/hull/internal/network/rtnl"
	"github.com/hull-pods/hull/internal/undo"
)

var (
	fpLease   = failpoint.New("network.lease")
	fpPorts   = failpoint.New("network.ports")
	fpVeth    = failpoint.New("network.veth")
	fpHost    = failpoint.New("network.host")
	fpPod     = failpoint.New("network.pod")
	fpForward = failpoint.New("network.forward")
	fpDone    = failpoint.New("network.done")
)

// attachment is a sandbox on its way to its network: each step takes itself back if a later one fails.
type attachment struct {
	*Network
	back *undo.Stack
	l    *lease
}

// Attach gives a sandbox its interface, addresses and host ports. On an error nothing of it is left.
func (n *Network) Attach(ctx context.Context, req Request) (res Result, err error) {
	l := &lease{ID: req.ID, Name: req.Name}
	if l.Ports, err = checkPorts(req.Ports, n.ipv6, true); err != nil {
		return Result{}, err
	}
	var back undo.Stack
	defer func() {
		if err != nil {
			err = fmt.Errorf("give it a network: %w", err)
		}
	}()
	defer back.Run(ctx, &err)
	a := attachment{Network: n, back: &back, l: l}
	if err := a.makeLease(true); err != nil {
		return Result{}, err
	}
	if err := a.makeClaims(true); err != nil {
		return Result{}, err
	}
	if err := a.makeVeth(req.Netns); err != nil {
		return Result{}, err
	}
	if err := a.makeForwards(); err != nil {
		return Result{}, err
	}
	if err := fpDone.Hit(); err != nil {
		return Result{}, err
	}
	back.Release()
	return l.result(), nil
}

// ClaimPorts reserves host ports for a sandbox without a network of its own (hostNetwork), whose processes bind them
// themselves. Detach gives them back.
func (n *Network) ClaimPorts(ctx context.Context, req Request) (err error) {
	l := &lease{ID: req.ID, Name: req.Name}
	if l.Ports, err = checkPorts(req.Ports, n.ipv6, false); err != nil {
		return err
	}
	var back undo.Stack
	defer back.Run(ctx, &err)
	a := attachment{Network: n, back: &back, l: l}
	if err := a.makeLease(false); err != nil {
		return fmt.Errorf("claim host ports: %w", err)
	}
	if err := a.makeClaims(false); err != nil {
		return fmt.Errorf("claim host ports: %w", err)
	}
	back.Release()
	return nil
}

// makeLease takes addresses, for a sandbox with a network of its own, and writes the lease, before anything is in the kernel.
func (a attachment) makeLease(own bool) error {
	if err := checkID(a.l.ID); err != nil {
		return err
	}
	if err := a.back.Push(fpLease, "give back the lease", func(context.Context) error { return a.forget(a.l) }); err != nil {
		return err
	}
	next, err := a.reserve(a.l, own)
	if err != nil {
		return err
	}
	return a.dir.save(a.l, next)
}

// reserve takes addresses, and a name for the host's end; next is where the following search begins.
func (n attachment) reserve(l *lease, own bool) (next uint32, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.leases[l.ID] != nil {
		return 0, fmt.Errorf("it has a network already: %w", errdefs.ErrAlreadyExists)
	}
	if !own {
		n.leases[l.ID] = l
		return 0, nil
	}
	for _, name := range hostNames(n.cfg.Instance, l.ID) {
		if !n.names[name] {
			l.Interface = name
			break
		}
	}
	if l.Interface == "" {
		return 0, errors.New("every name for its interface on the host is taken")
	}
	number, err := n.pool.Take()
	if err != nil {
		return 0, err
	}
	ips := n.pool.Of(number)
	l.IPv4 = ips[0]
	if len(ips) > 1 {
		l.IPv6 = ips[1]
	}
	n.leases[l.ID] = l
	n.names[l.Interface] = true
	return n.pool.Next, nil
}

// forget is the end of a lease. It is struck out before anybody else can have its addresses.
func (n *Network) forget(l *lease) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.leases[l.ID] != l {
		return nil
	}
	if err := n.dir.remove(l.ID); err != nil {
		return err
	}
	delete(n.leases, l.ID)
	delete(n.names, l.Interface)
	n.pool.Put(l.ips())
	return nil
}

// makeClaims enters host ports where other sandboxes see them, and binds them where the host's processes do. A sandbox on
// the host's network only looks whether they are free: its own processes bind them.
func (a attachment) makeClaims(keep bool) error {
	if len(a.l.Ports) == 0 {
		return nil
	}
	unclaim := func(context.Context) error {
		a.book.leave(a.l)
		releaseAll(a.l)
		return nil
	}
	if err := a.back.Push(fpPorts, "give back host ports", unclaim); err != nil {
		return err
	}
	if err := a.book.enter(a.l); err != nil {
		return err
	}
	err := holdAll(a.l)
	if !keep {
		releaseAll(a.l)
	}
	return err
}

// makeVeth carries out the plan: the pair, the Pod's end, the host's. Addresses, neighbours and routes go with the link.
func (a attachment) makeVeth(ns *os.File) error {
	w := a.wiring()
	if err := a.back.Push(fpVeth, "delete veth "+a.l.Interface, func(context.Context) error { return a.deleteEnd(a.l) }); err != nil {
		return err
	}
	var k rtnl.Link
	if err := a.host.Use(func(c *rtnl.Conn) (err error) {
		if err = c.Do(w.makeVeth(int(ns.Fd()))); err == nil {
			k, err = c.Link(rtnl.LinkByName(w.host)) // which also settles that the link has no carrier yet: see hostSide
		}
		return err
	}); err != nil {
		return err
	}
	a.mu.Lock()
	a.l.index = k.Index
	a.mu.Unlock()
	if err := fpPod.Hit(); err != nil {
		return err
	}
	c, err := rtnl.OpenAt(ns)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.DoAll(w.podSide(k.Peer)); err != nil {
		return err
	}
	if err := fpHost.Hit(); err != nil {
		return err
	}
	if err := a.host.Use(func(c *rtnl.Conn) error { return c.DoAll(w.hostSide(k.Index)) }); err != nil {
		return err
	}
	_, err = c.Link(rtnl.LinkByIndex(k.Peer)) // asking makes it ready
	return err
}

func (a attachment) wiring() wiring {
	w := wiring{instance: a.cfg.Instance, id: a.l.ID, host: a.l.Interface, group: a.group, mtu: a.mtu, ips: a.l.ips()}
	w.hostIPs = a.pool.Of(addresses.Host)
	for _, c := range claims(a.l) {
		w.localnet = w.localnet || c.addr.Is4()
	}
	return w
}

// makeForwards lets host ports reach the Pod. What UDP remembers of the time before would still go where it went then.
func (a attachment) makeForwards() error {
	if len(a.l.Ports) == 0 {
		return nil
	}
	if err := a.back.Push(fpForward, "remove host ports", func(context.Context) error { return a.table.remove(a.l) }); err != nil {
		return err
	}
	if err := a.table.add(a.l); err != nil {
		return err
	}
	return flushConntrack(a.track, a.l)
}

// deleteEnd deletes a sandbox's host end if it is there, and so the other end. When it returns, the link is gone.
func (n *Network) deleteEnd(l *lease) error {
	if l.Interface == "" {
		return nil
	}
	return n.host.Use(func(c *rtnl.Conn) error {
		k, err := c.Link(rtnl.LinkByName(l.Interface))
		if errors.Is(err, unix.ENODEV) {
			return nil
		}
		if err != nil || k.Group != n.group {
			return err
		}
		return deleteOn(c, k.Index)
	})
}

func deleteOn(c *rtnl.Conn, index int32) error {
	if err := c.Do(rtnl.DeleteLink(index)); err != nil && !errors.Is(err, unix.ENODEV) {
		return err
	}
	return nil
}

func (n *Network) linkExists(index int32) (there bool, err error) {
	err = n.host.Use(func(c *rtnl.Conn) error {
		_, err := c.Link(rtnl.LinkByIndex(index))
		there = err == nil
		if errors.Is(err, unix.ENODEV) {
			return nil
		}
		return err
	})
	return there, err
}
