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
)

// Check looks for what keeps Pods from talking, and says it in words. No problem is an empty list.
func (n *Network) Check(ctx context.Context) ([]string, error) {
	var problems []string
	for _, look := range []func() ([]string, error){n.checkForwarding, n.checkTable, n.dropping, n.checkRoutes, n.checkLeases, n.checkDNS} {
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

func (n *Network) checkForwarding() ([]string, error) {
	names := []string{"ipv4/ip_forward"}
	if n.ipv6 {
		names = append(names, "ipv6/conf/all/forwarding")
	}
	var problems []string
	for _, name := range names {
		v, err := n.sys.get(name)
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
func (n *Network) checkTable() ([]string, error) {
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

// checkRoutes looks for routes of others into our pools.
func (n *Network) checkRoutes() ([]string, error) {
	var routes []route
	var links []link
	err := n.host.use(func(c *rtnl) (err error) {
		if routes, err = c.routes(); err == nil {
			links, err = c.links()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	byIndex := map[int32]link{}
	for _, k := range links {
		byIndex[k.index] = k
	}
	var problems []string
	for _, r := range routes {
		for _, p := range []netip.Prefix{n.pool.v4, n.pool.v6} {
			dev := byIndex[r.index]
			ours := dev.group == n.group || r.typ == unix.RTN_UNREACHABLE && r.dst == p
			if p.IsValid() && r.dst.Bits() > 0 && r.dst.Overlaps(p) && !ours {
				problems = append(problems, fmt.Sprintf("the host's route to %s by %s overlaps the Pods' pool %s: choose another pool", r.dst, dev.name, p))
			}
		}
	}
	return problems, nil
}

// checkLeases looks for sandboxes whose veth has gone although nobody detached them, and for ports that others have.
func (n *Network) checkLeases() ([]string, error) {
	n.mu.Lock()
	var leases []*lease
	for _, l := range n.leases {
		if l.ending == nil {
			leases = append(leases, l)
		}
	}
	n.mu.Unlock()
	slices.SortFunc(leases, func(a, b *lease) int { return strings.Compare(a.ID, b.ID) })
	var problems []string
	for _, l := range leases {
		if l.Interface == "" || l.index == 0 {
			continue
		}
		there, err := n.linkExists(l.index)
		if err != nil {
			return nil, err
		}
		if !there {
			problems = append(problems, fmt.Sprintf("%s has lost its interface %s", l.holder(), l.Interface))
		}
		for _, c := range l.lost {
			problems = append(problems, fmt.Sprintf("host port %s of %s is also used by %s", c, l.holder(), whoHas(c)))
		}
	}
	return problems, nil
}

// checkDNS looks for nameservers that only the host itself can reach.
func (n *Network) checkDNS() ([]string, error) {
	d, err := ReadHostDNS()
	if errors.Is(err, unix.ENOENT) {
		return []string{etcResolvConf + " does not exist: Pods cannot resolve names"}, nil
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
		return []string{etcResolvConf + " names no server: Pods cannot resolve names"}, nil
	}
	return []string{fmt.Sprintf("the nameserver %s of %s is on this host's loopback, which Pods cannot reach: give them one by dnsConfig", d.Servers[0], etcResolvConf)}, nil
}
