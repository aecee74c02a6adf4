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

	"github.com/hull-pods/hull/internal/network/addresses"
	"github.com/hull-pods/hull/internal/network/instances"
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
	self  *instances.Instance
	watch *rtnl.Watcher
	table *forwarder
	track *netlink.Handle
	dir   *leaseLog // what is below mu, written down
	book  *portBook

	mu     sync.Mutex
	leases map[string]*lease
	names  map[string]bool // of host ends
	pool   *addresses.Pool

	grace   time.Duration // how long a namespace may take to end before its veth is deleted
	closing chan struct{}
	ends    sync.WaitGroup
}

const defaultGrace = 2 * time.Second

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
	return home{instance: n.cfg.Instance, group: n.group, ips: n.pool.Of(addresses.Host)}
}

// makeHome makes the host's own link and the routes that hold the pools together, as far as they are not there. Addresses
// of an earlier pool stay: routes to Pods that have theirs from it name them.
func (n *Network) makeHome(c *rtnl.Conn) error {
	h := n.home()
	msgs := append(n.self.Routes(n.Pools()), h.make()) // a link without its route would say less of itself
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
	return doNew(c, msgs)
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
	if err := n.host.Use(func(c *rtnl.Conn) error { return errors.Join(n.makeHome(c), n.self.DropRoutes(c, n.keepsPool)) }); err != nil {
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

// keepsPool says which pools need their route: those of now, and those from which a Pod still has an address.
func (n *Network) keepsPool(p netip.Prefix) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p == n.pool.V4 || p == n.pool.V6 {
		return true
	}
	for _, l := range n.leases {
		if slices.ContainsFunc(l.ips(), p.Contains) {
			return true
		}
	}
	return false
}

// Leftovers lists what instances of Hull that live no more have left on this machine.
func (n *Network) Leftovers(context.Context) ([]instances.Leftover, error) { return n.self.Leftovers() }

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
	errs := []error{n.self.Remove()}
	for _, l := range leases {
		errs = append(errs, flushConntrack(n.track, l))
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
	if n.self != nil {
		n.self.Close()
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
func (n *Network) Pools() (v4, v6 netip.Prefix) { return n.pool.V4, n.pool.V6 }
