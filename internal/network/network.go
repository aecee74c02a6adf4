package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/network/rtnl"
	"github.com/hull-pods/hull/internal/network/sysctl"
)

// Network is the network of all sandboxes of one instance. Its methods are safe for concurrent use, as long as each
// sandbox has one caller at a time.
type Network struct {
	cfg   Config
	group uint32
	ipv6  bool
	mtu   int
	log   *slog.Logger
	sys   sysctl.Net

	host  rtnl.Pool
	watch *rtnl.Watcher
	table *forwarder
	track *netlink.Handle
	dir   *leaseLog // what is below mu, written down
	book  *portBook

	mu     sync.Mutex
	leases map[string]*lease
	names  map[string]bool // of host ends
	pool   *pool

	grace   time.Duration // how long a namespace may take to end before its veth is deleted
	closing chan struct{}
	ends    sync.WaitGroup
}

const defaultGrace = 2 * time.Second

// Open puts the instance's nftables table in place, switches forwarding on and adopts the sandboxes of earlier runs.
func Open(ctx context.Context, cfg Config) (n *Network, err error) {
	n = &Network{
		cfg: cfg, log: cfg.Log, sys: sysctl.Host, book: newPortBook(),
		names: map[string]bool{}, grace: defaultGrace, closing: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open the network: %w", errors.Join(err, n.Close()))
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
	if err := n.openSockets(); err != nil {
		return n, err
	}
	if err := n.choosePool(); err != nil {
		return n, err
	}
	if n.table, err = newForwarder(cfg.Instance, n.group, n.pool.addresses(hostNumber)); err != nil {
		return n, err
	}
	if err := n.adopt(); err != nil {
		return n, err
	}
	if err := ctx.Err(); err != nil {
		return n, err
	}
	return n, n.Repair(ctx)
}

// openSockets opens all that speaks to the host's namespace, before any thread of ours enters another.
func (n *Network) openSockets() (err error) {
	if n.host, err = rtnl.NewPool(); err != nil {
		return err
	}
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
func (n *Network) choosePool() error {
	v4, v6 := n.cfg.IPv4, n.cfg.IPv6
	if !v6.IsValid() {
		v6 = defaultIPv6(n.cfg.Instance)
	}
	if !n.ipv6 {
		v6 = netip.Prefix{}
		n.log.Info("this host has no IPv6: Pods get IPv4 alone")
	}
	if !v4.IsValid() {
		var err error
		if v4, err = chosenPool(n.cfg.StateDir, n.log, n.freePool); err != nil {
			return err
		}
	}
	var err error
	n.pool, err = newPool(v4, v6, n.dir.next)
	return err
}

func (n *Network) freePool() (netip.Prefix, error) {
	var routes []rtnl.Route
	err := n.host.Use(func(c *rtnl.Conn) (err error) {
		routes, err = c.Routes()
		return err
	})
	if err != nil {
		return netip.Prefix{}, err
	}
	for _, p := range defaultIPv4() {
		if !slices.ContainsFunc(routes, func(r rtnl.Route) bool { return r.Dst.Overlaps(p) && r.Dst.Bits() > 0 }) {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("no free IPv4 pool between 10.88.0.0/16 and 10.127.0.0/16: choose one: %w", errdefs.ErrResourceExhausted)
}

// adopt brings leases and links together. A link of ours whose lease is lost says in its alias what it was.
func (n *Network) adopt() error {
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
			l = &lease{ID: id, Interface: k.Name}
			for _, ip := range ips {
				if ip.Is4() {
					l.IPv4 = ip
				} else {
					l.IPv6 = ip
				}
			}
			if err := n.dir.save(l, 0); err != nil {
				return err
			}
			n.leases[id] = l
		case !ok && byName[k.Name] != nil: // made, but hulld died before it got its alias
			l = byName[k.Name]
		case !ok:
			if err := n.deleteLink(k.Index); err != nil {
				return err
			}
			continue
		}
		l.index = k.Index
	}
	for _, l := range n.leases {
		n.names[l.Interface] = true
		n.pool.mark(l.ips())
		n.table.adopt(l)
		if err := errors.Join(n.book.enter(l), n.holdAgain(l)); err != nil {
			n.log.Warn("a host port could not be held again", "sandbox", l.ID, "error", err)
		}
	}
	return nil
}

// holdAgain binds a Pod's ports once more. One that somebody took meanwhile still goes to the Pod: Check says so.
func (n *Network) holdAgain(l *lease) error {
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

// ownLinks are the host ends of this instance, by a look at all links.
func (n *Network) ownLinks() ([]rtnl.Link, error) {
	var all []rtnl.Link
	err := n.host.Use(func(c *rtnl.Conn) (err error) {
		all, err = c.Links()
		return err
	})
	home := n.home().names()
	return slices.DeleteFunc(all, func(k rtnl.Link) bool { return k.Group != n.group || slices.Contains(home, k.Name) }), err
}

func (n *Network) home() home {
	return home{instance: n.cfg.Instance, group: n.group, ips: n.pool.addresses(hostNumber)}
}

// makeHome makes the host's own link and the routes that hold the pools together, as far as they are not there. Addresses
// of an earlier pool stay: routes to Pods that have theirs from it name them.
func (n *Network) makeHome(c *rtnl.Conn) error {
	h := n.home()
	msgs := []rtnl.Message{h.make()}
	for i, name := range h.names() {
		if err := doNew(c, msgs); err != nil {
			return err
		}
		k, err := c.Link(rtnl.LinkByName(name))
		if err != nil {
			return err
		}
		if k.Group != n.group {
			return fmt.Errorf("link %s is somebody else's: %w", name, errdefs.ErrFailedPrecondition)
		}
		msgs = h.side(i, k.Index)
	}
	return doNew(c, append(msgs, poolRoutes(unix.RTM_NEWROUTE, n.pool)...))
}

// doNew sends messages that make what may be there.
func doNew(c *rtnl.Conn, msgs []rtnl.Message) error {
	for _, m := range msgs {
		if err := c.Do(m); err != nil && !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
	return nil
}

// Repair puts back what others may have removed and what is needed for all Pods: forwarding, the nftables table, the
// host's own link and the routes that hold the pools together.
func (n *Network) Repair(context.Context) error {
	if err := n.table.install(); err != nil {
		return err
	}
	if err := n.host.Use(n.makeHome); err != nil {
		return err
	}
	if err := n.sys.Forward4(n.log); err != nil {
		return err
	}
	if !n.ipv6 {
		return nil
	}
	return n.sys.Forward6(n.log)
}

// Get is what Attach returned for this sandbox, also after a restart; errdefs.ErrNotFound when it has no interface.
func (n *Network) Get(id string) (Result, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.leases[id]
	if l == nil || len(l.ips()) == 0 {
		return Result{}, fmt.Errorf("network of sandbox %s: %w", id, errdefs.ErrNotFound)
	}
	return l.result(), nil
}

func (l *lease) result() Result {
	pod, _ := macs(l.ID)
	return Result{IPs: l.ips(), Interface: podInterface, HostInterface: l.Interface, MAC: pod.String()}
}

// List is the sandbox IDs that own a veth, a lease or a port of this instance, sorted.
func (n *Network) List(context.Context) ([]string, error) {
	links, err := n.ownLinks()
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for _, k := range links {
		if id, _, ok := parseAlias(n.cfg.Instance, k.Alias); ok {
			ids[id] = true
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for id := range n.leases {
		ids[id] = true
	}
	return slices.Sorted(maps.Keys(ids)), nil
}

// Purge removes everything of this instance from the kernel and from StateDir, and closes the Network.
func (n *Network) Purge(context.Context) error {
	n.mu.Lock()
	leases := slices.Collect(maps.Values(n.leases))
	n.mu.Unlock()
	errs := []error{n.table.uninstall()}
	errs = append(errs, n.host.Use(func(c *rtnl.Conn) error {
		err := c.Do(rtnl.DeleteGroup(n.group))
		if errors.Is(err, unix.ENODEV) {
			err = nil
		}
		for _, m := range poolRoutes(unix.RTM_DELROUTE, n.pool) {
			if derr := c.Do(m); derr != nil && !errors.Is(derr, unix.ESRCH) {
				err = errors.Join(err, derr)
			}
		}
		return err
	}))
	for _, l := range leases {
		errs = append(errs, n.flushConntrack(l))
	}
	errs = append(errs, n.Close())
	for _, name := range []string{"leases.log", "leases.log.new", "pool.json", "pool.json.new"} {
		errs = append(errs, os.RemoveAll(filepath.Join(n.cfg.StateDir, name)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove the network of instance %s: %w", n.cfg.Instance, err)
	}
	return nil
}

// Close lets go of the host's sockets. Sandboxes keep their network; host ports are held again by the next Open.
func (n *Network) Close() error {
	select {
	case <-n.closing:
		return nil
	default:
		close(n.closing)
	}
	n.ends.Wait()
	var errs []error
	if n.watch != nil {
		n.watch.Close()
	}
	if n.host != nil {
		n.host.Close()
	}
	if n.table != nil {
		errs = append(errs, n.table.close())
	}
	if n.track != nil {
		n.track.Close()
	}
	for _, l := range n.leases {
		releaseAll(l)
	}
	if n.dir != nil {
		errs = append(errs, n.dir.close())
	}
	return errors.Join(errs...)
}

// Pools are the prefixes that Pods get their addresses from; the second is zero on a host without IPv6.
func (n *Network) Pools() (v4, v6 netip.Prefix) { return n.pool.v4, n.pool.v6 }
