package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/network/instances"
	"github.com/hull-pods/hull/internal/network/rtnl"
)

// poolsOf are the pools whose routes say that they are this instance's.
func poolsOf(t testing.TB, instance string) []netip.Prefix {
	t.Helper()
	c, err := rtnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	routes, err := c.Routes()
	if err != nil {
		t.Fatal(err)
	}
	g, err := group(instance)
	if err != nil {
		t.Fatal(err)
	}
	var pools []netip.Prefix
	for _, r := range routes {
		if instances.IsPool(r) && r.Metric == g {
			pools = append(pools, r.Dst)
		}
	}
	return pools
}

func hasLink(t testing.TB, name string) bool {
	t.Helper()
	c, err := rtnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Link(rtnl.LinkByName(name))
	if err != nil && !errors.Is(err, unix.ENODEV) {
		t.Fatal(err)
	}
	return err == nil
}

// An instance that is started with one pool and then with another keeps no route of the first, and stops without a trace.
func TestAnotherPoolLeavesNoRoute(t *testing.T) {
	cfg := testConfig(t)
	n := open(t, cfg)
	p := attach(t, n)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	second := cfg
	second.IPv4 = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 87, 0, 0}), 24)
	n = open(t, second)
	if got := poolsOf(t, cfg.Instance); !slices.Contains(got, cfg.IPv4) || !slices.Contains(got, second.IPv4) {
		t.Errorf("routes %v; want %s, from which a Pod has its address, and %s", got, cfg.IPv4, second.IPv4)
	}
	p.end(n)
	if err := n.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := poolsOf(t, cfg.Instance); slices.Contains(got, cfg.IPv4) || !slices.Contains(got, second.IPv4) {
		t.Errorf("routes %v; want none to %s when no Pod has an address of it", got, cfg.IPv4)
	}
}

// What a dead Hull has left is removed by the next one, whichever it is: one that lives, or whose Pods do, is left alone.
func TestTheDeadAreBuried(t *testing.T) {
	living, waiting, dead := testConfig(t), testConfig(t), testConfig(t)
	open(t, living)
	w := open(t, waiting)
	attach(t, w)
	d := open(t, dead)
	if err := d.Close(); err != nil { // no better than kill -9: nothing is removed, and no socket stays open
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if len(poolsOf(t, dead.Instance)) != 2 || !hasLink(t, "hull"+dead.Instance) {
		t.Fatal("the dead Hull has left nothing: this test tests nothing")
	}
	var buried []string
	cfg := testConfig(t)
	cfg.Bury = func(instance string) error {
		buried = append(buried, instance)
		return nil
	}
	next := open(t, cfg)
	noTraceInKernel(t, dead)
	if !slices.Contains(buried, dead.Instance) || slices.Contains(buried, living.Instance) || slices.Contains(buried, waiting.Instance) {
		t.Errorf("what else %v have left is removed; want that of %s, not of %s and %s", buried, dead.Instance, living.Instance, waiting.Instance)
	}
	for _, cfg := range []Config{living, waiting} {
		if len(poolsOf(t, cfg.Instance)) != 2 || !hasLink(t, "hull"+cfg.Instance) || !slices.Contains(tableNames(t), instances.Table(cfg.Instance)) {
			t.Errorf("Hull %s has lost its network to another", cfg.Instance)
		}
	}
	if left, err := next.Leftovers(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("leftovers %v, %v", left, err)
	}
}

// One that dies while another runs is that one's leftover.
func TestTheDeadAreLeftovers(t *testing.T) {
	n := open(t, testConfig(t))
	dead := testConfig(t)
	d := open(t, dead)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := n.Leftovers(t.Context())
	if err != nil || len(left) != 1 || !strings.Contains(left[0].What, dead.Instance) || !strings.Contains(left[0].What, dead.IPv4.String()) {
		t.Fatalf("leftovers %v, %v; want Hull %s", left, err, dead.Instance)
	}
	again := open(t, dead)
	if err := left[0].Remove(t.Context()); err != nil {
		t.Error(err)
	}
	if !hasLink(t, "hull"+dead.Instance) {
		t.Error("a Hull that lives again has lost its network")
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if err := left[0].Remove(t.Context()); err != nil {
		t.Error(err)
	}
	noTraceInKernel(t, dead)
}

// Hulls that start in the same instant choose different pools.
func TestManyChooseAtOnce(t *testing.T) {
	hulltest.NeedRoot(t)
	const many = 12
	nets := make([]*Network, many)
	cfgs := make([]Config, many)
	var group errgroup.Group
	for i := range many {
		cfgs[i] = testConfig(t)
		cfgs[i].IPv4 = netip.Prefix{}
		group.Go(func() (err error) {
			nets[i], err = Open(context.Background(), cfgs[i])
			return err
		})
	}
	err := group.Wait()
	chosen := map[netip.Prefix]int{}
	for i, n := range nets {
		if n == nil {
			continue
		}
		v4, _ := n.Pools()
		chosen[v4]++
		if err := n.Purge(context.Background()); err != nil {
			t.Error(err)
		}
		cfgs[i].IPv4 = v4
		noTrace(t, cfgs[i])
	}
	if err != nil || len(chosen) != many {
		t.Errorf("%d Hulls chose %v: %v", many, chosen, err)
	}
}

// A Hull whose pool was given to another while it was dead takes another one, if no Pod has an address from it.
func TestPoolLostWhileDead(t *testing.T) {
	cfg := testConfig(t)
	cfg.IPv4 = netip.Prefix{}
	n := open(t, cfg)
	first, _ := n.Pools()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	other := testConfig(t)
	other.IPv4 = netip.Prefix{}
	m := open(t, other)
	if got, _ := m.Pools(); got != first {
		t.Fatalf("chose %s, want %s, which nobody has", got, first)
	}
	n = open(t, cfg)
	if got, _ := n.Pools(); got.Overlaps(first) {
		t.Errorf("two Hulls have %s and %s", first, got)
	}
}

// A start that fails takes back what it has made for Pods that are not there.
func TestFailedOpenLeavesNothing(t *testing.T) {
	hulltest.NeedRoot(t)
	cfg := testConfig(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("stopped on the way"))
	if n, err := Open(ctx, cfg); err == nil {
		t.Fatal("opened", n)
	}
	noTraceInKernel(t, cfg)
}

// check tells when somebody has removed the route, and when another Hull's pool overlaps.
func TestCheckLooksAtPoolRoutes(t *testing.T) {
	cfg := testConfig(t)
	n := open(t, cfg)
	other := testConfig(t)
	other.IPv4 = netip.PrefixFrom(cfg.IPv4.Addr().Next(), 25).Masked()
	open(t, other)
	problems, err := n.Check(t.Context())
	if err != nil || !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, "of Hull "+other.Instance+" overlaps") }) {
		t.Errorf("problems %q, %v", problems, err)
	}
	err = n.host.Use(func(c *rtnl.Conn) error {
		return n.self.DropRoutes(c, func(netip.Prefix) bool { return false })
	})
	if err != nil {
		t.Fatal(err)
	}
	gone := func() bool {
		problems, err := n.Check(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, cfg.IPv4.String()+" together has gone") })
	}
	if !gone() {
		t.Error("a route that has gone is not told of")
	}
	if err := n.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	if gone() {
		t.Error("the route was not put back")
	}
}
