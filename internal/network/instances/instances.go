// Package instances knows the Hulls that share this machine's network: which has which pool of addresses, which lives, and what
// the dead have left.
//
// An instance's pools are held together by unreachable routes, which say whose they are: a protocol that is Hull's alone, and the
// instance as metric. Who looks for a free pool, or for what the dead have left, does so with the machine's lock: what is looked
// at is then nobody's half-made beginning.
package instances

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/network/addresses"
	"github.com/hull-pods/hull/internal/network/rtnl"
)

// Instance is this Hull among the others.
type Instance struct {
	ID    string // eight hex digits
	Group uint32 // the same, read as a number: of its links, and its routes' metric
	Host  rtnl.Pool
	Log   *slog.Logger
	Bury  func(id string) error // removes what a dead one has left that is no network; nil for nothing

	sign    int // a socket that shows that this one lives; 0 before
	settled bool
}

// Links are the names of the two links that are an instance's own, and no Pod's.
func Links(id string) []string { return []string{"hull" + id, "hull" + id + "-"} }

// Table is the name of its nftables table.
func Table(id string) string { return "hull_" + id }

const lockFile = "/run/hull-pools.lock"

// lock waits until no other Hull of this machine chooses a pool.
func lock() (unlock func(), err error) {
	f, err := os.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the machine's pools: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock the machine's pools: %w", err)
		}
	}
}

// Settle shows that this instance lives, buries the dead and then takes the pools by fn, while no other Hull of this machine
// does.
func (i *Instance) Settle(fn func() error) error {
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := i.showLife(); err != nil {
		return err
	}
	i.buryAll()
	i.settled = true
	return fn()
}

// Settled says whether Settle has begun to make something.
func (i *Instance) Settled() bool { return i.settled }

// address is that of a socket that a living hulld has, in the abstract namespace of unix sockets, which is a network
// namespace's own as routes are. Whoever dies lets go of it.
func address(id string) unix.Sockaddr { return &unix.SockaddrUnix{Name: "@" + name(id)} }

func name(id string) string { return "hull-network-" + id }

// showLife takes the address. If somebody else has it, who may let go of it at any time, it takes one beside it that nobody can
// have taken before.
func (i *Instance) showLife() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("show other Hulls that this one lives: %w", err)
	}
	i.sign = fd
	err = unix.Bind(fd, address(i.ID))
	if errors.Is(err, unix.EADDRINUSE) {
		err = unix.Bind(fd, address(i.ID+beside+rand.Text()))
	}
	if err != nil {
		return fmt.Errorf("show other Hulls that this one lives: %w", err)
	}
	return nil
}

// beside separates what makes an address another one of the same instance.
const beside = "-"

// lives asks whether somebody has an address of an instance.
func lives(id string) (bool, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("look whether Hull %s lives: %w", id, err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Connect(fd, address(id)); !errors.Is(err, unix.ECONNREFUSED) {
		return true, nil // any other answer is somebody's
	}
	all, err := os.ReadFile("/proc/thread-self/net/unix")
	if err != nil {
		return false, fmt.Errorf("look whether Hull %s lives: %w", id, err)
	}
	return bytes.Contains(all, []byte(" @"+name(id)+beside)), nil
}

// Close shows no life any more.
func (i *Instance) Close() {
	if i.sign != 0 {
		_ = unix.Close(i.sign)
		i.sign = 0
	}
}

// IsPool tells a route that holds some instance's pool together; its metric says whose.
func IsPool(r rtnl.Route) bool { return r.Protocol == rtnl.Protocol && r.Type == unix.RTN_UNREACHABLE }

// Owns tells those of this instance.
func (i *Instance) Owns(r rtnl.Route) bool { return IsPool(r) && r.Metric == i.Group }

// Routes are the messages that make the routes of pools: what is sent to an address that no Pod has is refused here and not sent
// to the outside, and others who look for a free range see this one as taken.
func (i *Instance) Routes(pools ...netip.Prefix) []rtnl.Message {
	var msgs []rtnl.Message
	for _, p := range pools {
		if p.IsValid() {
			msgs = append(msgs, rtnl.Unreachable(unix.RTM_NEWROUTE, p, i.Group))
		}
	}
	return msgs
}

// DropRoutes removes this instance's routes of pools that it does not keep.
func (i *Instance) DropRoutes(c *rtnl.Conn, keep func(netip.Prefix) bool) error {
	routes, err := c.Routes()
	if err != nil {
		return err
	}
	return deleteRoutes(c, slices.DeleteFunc(routes, func(r rtnl.Route) bool { return !i.Owns(r) || keep(r.Dst) }))
}

// Lost tells of a pool that another Hull has, by a look at all routes. The caller is inside Settle.
func (i *Instance) Lost(p netip.Prefix) bool {
	routes, err := i.routes()
	return err == nil && slices.ContainsFunc(routes, func(r rtnl.Route) bool { return IsPool(r) && !i.Owns(r) && r.Dst.Overlaps(p) })
}

// Free is the first of the default pools that no route of the host overlaps. The caller is inside Settle.
func (i *Instance) Free() (netip.Prefix, error) {
	routes, err := i.routes()
	if err != nil {
		return netip.Prefix{}, err
	}
	for _, p := range addresses.DefaultIPv4() {
		if !slices.ContainsFunc(routes, func(r rtnl.Route) bool { return !i.Owns(r) && r.Dst.Overlaps(p) && r.Dst.Bits() > 0 }) {
			return p, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("no free IPv4 pool between 10.88.0.0/16 and 10.127.0.0/16: choose one: %w", errdefs.ErrResourceExhausted)
}

func (i *Instance) routes() (all []rtnl.Route, err error) {
	err = i.Host.Use(func(c *rtnl.Conn) (err error) {
		all, err = c.Routes()
		return err
	})
	return all, err
}
