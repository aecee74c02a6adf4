package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/network/addresses"
	"github.com/hull-pods/hull/internal/network/firewall"
	"github.com/hull-pods/hull/internal/network/holder"
	"github.com/hull-pods/hull/internal/network/instances"
	"github.com/hull-pods/hull/internal/network/names"
	"github.com/hull-pods/hull/internal/network/rtnl"
)

// checker looks at one thing after the other that may keep Pods from talking.
type checker struct{ *Network }

// Check looks for what keeps Pods from talking, and says it in words. No problem is an empty list.
func (n *Network) Check(ctx context.Context) ([]string, error) {
	var problems []string
	c := checker{n}
	for _, look := range []func() ([]string, error){c.checkForwarding, c.checkTable, c.checkFirewalls, c.checkRoutes, c.checkLeases, c.checkDNS} {
		if err := ctx.Err(); err != nil {
			return problems, err
		}
		found, err := look()
		if err != nil {
			return problems, fmt.Errorf("check the network: %w", err)
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

// Blocked says which tables of others drop what Pods send or are sent, as Check does.
func Blocked(n *Network) ([]string, error) { return checker{n}.checkFirewalls() }

func (n checker) checkForwarding() ([]string, error) {
	names := []string{"ipv4/ip_forward"}
	if n.ipv6 {
		names = append(names, "ipv6/conf/all/forwarding")
	}
	var problems []string
	for _, name := range names {
		v, err := n.sys.Get(name)
		if err != nil {
			return nil, err
		}
		if v == "0" {
			problems = append(problems, fmt.Sprintf("net.%s is 0: Pods reach nothing but this host", strings.ReplaceAll(name, "/", ".")))
		}
	}
	return problems, nil
}

// checkTable compares names and counts: who flushes a ruleset leaves neither.
func (n checker) checkTable() ([]string, error) {
	want := n.table.rules
	gone := []string{fmt.Sprintf("nftables table inet %s is not whole, somebody flushed it: Pods reach nothing outside this host, and their host ports do not work", want.table.Name)}
	conn, err := nftables.New()
	if err != nil {
		return nil, err
	}
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, err
	}
	rules := 0
	for _, c := range chains {
		if c.Table.Name != want.table.Name {
			continue
		}
		found, err := conn.GetRules(want.table, c)
		if err != nil {
			return nil, err
		}
		rules += len(found)
	}
	if rules < len(want.rules) {
		return gone, nil
	}
	return nil, nil
}

// checkFirewalls looks for tables of others that drop what Pods send or are sent.
func (n checker) checkFirewalls() ([]string, error) {
	// Any sandbox's name and address will do: rules that know single Pods are nobody's but ours.
	return firewall.Dropping(n.table.rules.table.Name, firewall.Pods{
		Link: hostNames(n.cfg.Instance, strings.Repeat("0", idLen))[0], Group: n.group, IPs: n.pool.Of(addresses.First),
	})
}

// checkRoutes looks for routes of others into our pools.
func (n checker) checkRoutes() ([]string, error) {
	var routes []rtnl.Route
	var links []rtnl.Link
	err := n.host.Use(func(c *rtnl.Conn) (err error) {
		if routes, err = c.Routes(); err == nil {
			links, err = c.Links()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	byIndex := map[int32]rtnl.Link{}
	for _, k := range links {
		byIndex[k.Index] = k
	}
	var problems []string
	for _, r := range routes {
		for _, p := range []netip.Prefix{n.pool.V4, n.pool.V6} {
			dev, there := byIndex[r.Index]
			if r.Index != 0 && !there {
				continue // a Pod's, which went between the two questions, and its route with it
			}
			ours := dev.Group == n.group || n.self.Owns(r)
			by := "by " + dev.Name
			if instances.IsPool(r) {
				by = fmt.Sprintf("of Hull %08x", r.Metric)
			}
			if p.IsValid() && r.Dst.Bits() > 0 && r.Dst.Overlaps(p) && !ours {
				problems = append(problems, fmt.Sprintf("the host's route to %s %s overlaps the Pods' pool %s: choose another pool", r.Dst, by, p))
			}
		}
	}
	for _, p := range []netip.Prefix{n.pool.V4, n.pool.V6} {
		if p.IsValid() && !slices.ContainsFunc(routes, func(r rtnl.Route) bool { return n.self.Owns(r) && r.Dst == p }) {
			problems = append(problems, fmt.Sprintf("the route that holds the Pods' pool %s together has gone: hull system check --repair puts it back", p))
		}
	}
	return problems, nil
}

// checkLeases looks for sandboxes whose veth has gone although nobody detached them, and for ports that others have.
func (n checker) checkLeases() ([]string, error) {
	n.mu.Lock()
	var leases []lease // copies, of what is written under mu alone: a Pod that starts meanwhile writes the rest of its own
	for _, l := range n.leases {
		if l.ending == nil && l.index != 0 {
			leases = append(leases, lease{ID: l.ID, Name: l.Name, Interface: l.Interface, index: l.index, lost: l.lost})
		}
	}
	n.mu.Unlock()
	slices.SortFunc(leases, func(a, b lease) int { return strings.Compare(a.ID, b.ID) })
	var problems []string
	for _, l := range leases {
		there, err := n.linkExists(l.index)
		if err != nil {
			return nil, err
		}
		if !there {
			problems = append(problems, fmt.Sprintf("%s has lost its interface %s", l.holder(), l.Interface))
		}
		for _, c := range l.lost {
			problems = append(problems, fmt.Sprintf("host port %s of %s is also used by %s", c, l.holder(), holder.Of(c.proto, c.addr, c.port)))
		}
	}
	return problems, nil
}

// checkDNS looks for nameservers that only the host itself can reach.
func (n checker) checkDNS() ([]string, error) {
	d, err := names.ReadHostDNS()
	if errors.Is(err, unix.ENOENT) {
		return []string{names.EtcResolvConf + " does not exist: Pods cannot resolve names"}, nil
	}
	if err != nil {
		return []string{err.Error()}, nil
	}
	for _, s := range d.Servers {
		if ip, err := netip.ParseAddr(s); err == nil && !ip.IsLoopback() {
			return nil, nil
		}
	}
	if len(d.Servers) == 0 {
		return []string{names.EtcResolvConf + " names no server: Pods cannot resolve names"}, nil
	}
	return []string{fmt.Sprintf("the nameserver %s of %s is on this host's loopback, which Pods cannot reach: give them one by dnsConfig", d.Servers[0], names.EtcResolvConf)}, nil
}
