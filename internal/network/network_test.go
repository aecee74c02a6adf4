package network

import (
	"testing"
	"time"

	"github.com/google/nftables"

	"github.com/hull-pods/hull/internal/network/addresses"
)

// patience is for what must come: a test fails after it, and never passes because of it.
const patience = time.Minute

// shortGrace is for namespaces that sockets of the test keep alive.
const shortGrace = 10 * time.Millisecond

func deadline() time.Time { return time.Now().Add(patience) }

func tableNames(t testing.TB) []string {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tb := range tables {
		names = append(names, tb.Name)
	}
	return names
}

func TestPodsReachEachOtherAndTheHost(t *testing.T) {
	cfg := testConfig(t)
	n := open(t, cfg)
	a, b := attach(t, n), attach(t, n)
	for i := range a.IPs {
		ai, bi := a.IPs[i], b.IPs[i]
		hostIP := n.pool.Of(addresses.Host)[i]
		serve(t, b.ns, "tcp", hostPort(bi, 80), "b")
		serve(t, b.ns, "udp", hostPort(bi, 80), "b")
		serve(t, nil, "tcp", hostPort(hostIP, 81), "host")
		expect(t, a.ns, "tcp", hostPort(bi, 80), "b "+ai.String())
		expect(t, a.ns, "udp", hostPort(bi, 80), "b "+ai.String())
		expect(t, b.ns, "tcp", hostPort(bi, 80), "b "+bi.String())
		expect(t, nil, "tcp", hostPort(bi, 80), "b "+hostIP.String())
		expect(t, a.ns, "tcp", hostPort(hostIP, 81), "host "+ai.String())
	}
	if len(a.IPs) != 2 {
		t.Errorf("addresses %v, want one of each family", a.IPs)
	}
	a.end(n)
	b.end(n)
	if ids, err := n.List(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("after detach: %v, %v", ids, err)
	}
}
