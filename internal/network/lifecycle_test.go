package network

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/network/addresses"
	"github.com/hull-pods/hull/internal/network/sysctl"
)

// none fails the test when the Network still has something of a sandbox.
func none(t *testing.T, n *Network) {
	t.Helper()
	ids, err := n.List(t.Context())
	if err != nil || len(ids) != 0 {
		t.Errorf("List: %v, %v; want none", ids, err)
	}
	links, err := n.ownLinks()
	if err != nil || len(links) != 0 {
		t.Errorf("links: %v, %v; want none", links, err)
	}
	if again, err := openLeaseLog(n.cfg.StateDir, discard); err != nil || len(again.leases) != 0 {
		t.Errorf("leases written down: %v, %v; want none", again.leases, err)
	} else if err := again.close(); err != nil { // it wrote the log anew: ours is the old one
		t.Error(err)
	} else if n.dir, err = openLeaseLog(n.cfg.StateDir, discard); err != nil {
		t.Error(err)
	}
	if n.pool.InUse() != 0 || len(n.names) != 0 || len(n.book.taken) != 0 {
		t.Errorf("still taken: numbers %v, names %v, ports %v", n.pool.InUse(), n.names, n.book.taken)
	}
	conn, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range n.table.rules.sets {
		elems, err := conn.GetSetElements(s)
		if err != nil || len(elems) != 0 {
			t.Errorf("set %s: %v, %v; want none", s.Name, elems, err)
		}
	}
}

func TestDetachLetsTheNamespaceRemoveTheVeth(t *testing.T) {
	n := open(t, testConfig(t))
	n.grace = time.Hour // deleting it ourselves would hang the test
	p := attach(t, n, Port{HostPort: 8080, ContainerPort: 80})
	if err := n.Release(t.Context(), p.id); err != nil {
		t.Fatal(err)
	}
	if ids, err := n.List(t.Context()); err != nil || !slices.Equal(ids, []string{p.id}) {
		t.Errorf("a released sandbox whose veth is there: List %v, %v", ids, err)
	}
	q := attach(t, n, Port{HostPort: 8080, ContainerPort: 80}) // the port is free at once, the address is not
	if q.IPs[0] == p.IPs[0] {
		t.Errorf("address %s was given again while its veth is there", p.IPs[0])
	}
	p.end(n)
	q.end(n)
	q.end(n) // idempotent
	none(t, n)
}

func TestDetachDeletesTheVethOfANamespaceThatStays(t *testing.T) {
	n := open(t, testConfig(t))
	p := attach(t, n)
	if err := n.Detach(t.Context(), p.id); err != nil {
		t.Fatal(err)
	}
	none(t, n)
}

func TestLostEventsAreFoundByAsking(t *testing.T) {
	n := open(t, testConfig(t))
	n.grace = time.Hour
	p := attach(t, n)
	index := n.leases[p.id].index
	gone := n.watch.Gone(index)
	n.watch.Resync() // it is there: nothing must be told
	select {
	case <-gone:
		t.Fatal("told that the link is gone while it is there")
	default:
	}
	missing := n.watch.Gone(1 << 30)
	n.watch.Resync()
	<-missing
	p.end(n)
	<-gone
}

func TestEveryFailureLeavesNothing(t *testing.T) {
	n := open(t, testConfig(t))
	for _, name := range []string{"network.lease", "network.ports", "network.veth", "network.host", "network.pod", "network.forward", "network.done"} {
		if !slices.Contains(failpoint.All(), name) {
			t.Fatalf("no failpoint %s", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { _ = failpoint.Set("") })
			if err := failpoint.Set(name + "=error"); err != nil {
				t.Fatal(err)
			}
			ns := hulltest.Netns(t)
			req := Request{ID: newID(t), Netns: ns, Ports: []Port{{HostPort: 8080, ContainerPort: 80}, {HostPort: 8080, ContainerPort: 80, Protocol: "UDP"}}}
			if _, err := n.Attach(t.Context(), req); !errors.Is(err, failpoint.ErrInjected) {
				t.Fatalf("error %v, want the injected one", err)
			}
			none(t, n)
			if _, err := n.Attach(t.Context(), req); err != nil {
				t.Errorf("the same again: %v", err)
			}
			if err := n.Detach(t.Context(), req.ID); err != nil {
				t.Error(err)
			}
			none(t, n)
		})
	}
	leaving := func(id string) bool {
		ids := map[string]bool{}
		n.Leaving(ids)
		return ids[id]
	}
	for _, name := range []string{"network.release", "network.forget"} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { _ = failpoint.Set("") })
			p := attach(t, n, Port{HostPort: 8080, ContainerPort: 80})
			if err := failpoint.Set(name + "=error"); err != nil {
				t.Fatal(err)
			}
			if err := n.Detach(t.Context(), p.id); !errors.Is(err, failpoint.ErrInjected) {
				t.Fatalf("error %v, want the injected one", err)
			}
			if leaving(p.id) {
				t.Error("it is said to be on its way out, and nobody is at it")
			}
			p.end(n)
			none(t, n)
		})
	}
}

func TestWhatIsAskedWronglyIsRefused(t *testing.T) {
	n := open(t, testConfig(t))
	p := attach(t, n)
	other, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	id := newID(t)
	for _, tc := range []struct {
		name string
		req  Request
		want error
		text string
	}{
		{"twice", Request{ID: p.id, Netns: p.ns}, errdefs.ErrAlreadyExists, "it has a network already"},
		{"ID", Request{ID: "web", Netns: p.ns}, errdefs.ErrInvalidArgument, "32 hex digits"},
		{"eth0 is there", Request{ID: id, Netns: p.ns}, unix.EEXIST, "make veth"},
		{"not a namespace", Request{ID: id, Netns: other}, unix.EINVAL, "make veth"},
		{"protocol", Request{ID: id, Netns: p.ns, Ports: []Port{{HostPort: 1, ContainerPort: 1, Protocol: "ICMP"}}}, errdefs.ErrInvalidArgument, `"ICMP" is not TCP`},
		{"port 0", Request{ID: id, Netns: p.ns, Ports: []Port{{ContainerPort: 1}}}, errdefs.ErrInvalidArgument, "port 0"},
		{"loopback", Request{ID: id, Netns: p.ns, Ports: []Port{{HostIP: netip.IPv6Loopback(), HostPort: 1, ContainerPort: 1}}}, errdefs.ErrInvalidArgument, "127.0.0.1 works"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := n.Attach(t.Context(), tc.req)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("error %v, want %v with %q", err, tc.want, tc.text)
			}
		})
	}
	if _, err := n.Get(id); !errdefs.IsNotFound(err) {
		t.Errorf("Get of what failed: %v", err)
	}
	p.end(n)
	none(t, n)
}

func TestPortsClash(t *testing.T) {
	n := open(t, testConfig(t))
	web := attach(t, n, Port{HostPort: 8080, ContainerPort: 80}, Port{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 9090, ContainerPort: 90})
	try := func(p Port) error {
		id := newID(t)
		_, err := n.Attach(t.Context(), Request{ID: id, Netns: hulltest.Netns(t), Ports: []Port{p}})
		if err == nil {
			err = n.Detach(t.Context(), id)
		}
		return err
	}
	holder := "Pod test/" + web.id[:4]
	for _, tc := range []struct {
		port Port
		want string
	}{
		{Port{HostPort: 8080, ContainerPort: 81}, "host port 8080/TCP is already used by " + holder},
		{Port{HostIP: netip.MustParseAddr("127.0.0.1"), HostPort: 8080, ContainerPort: 81}, "host port 8080/TCP of 127.0.0.1 is already used by " + holder},
		{Port{HostPort: 9090, ContainerPort: 81}, "host port 9090/TCP is already used by " + holder},
		{Port{HostIP: netip.MustParseAddr("127.0.0.2"), HostPort: 9090, ContainerPort: 81}, ""},
		{Port{HostIP: netip.IPv6Unspecified(), HostPort: 9090, ContainerPort: 81}, ""},
		{Port{HostPort: 8080, ContainerPort: 81, Protocol: "UDP"}, ""},
	} {
		err := try(tc.port)
		if tc.want == "" && err != nil || tc.want != "" && (!errdefs.IsAlreadyExists(err) || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%+v: error %v, want %q", tc.port, err, tc.want)
		}
	}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	u, err := net.ListenPacket("udp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = u.Close() }()
	tcp := uint16(l.Addr().(*net.TCPAddr).Port)
	udp := uint16(u.LocalAddr().(*net.UDPAddr).Port)
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	who := strings.TrimSpace(string(comm)) + " (process "
	if err := try(Port{HostPort: tcp, ContainerPort: 80}); !errdefs.IsAlreadyExists(err) || !strings.Contains(err.Error(), who) {
		t.Errorf("a port on which a process listens: %v, want %q", err, who)
	}
	if err := try(Port{HostPort: udp, ContainerPort: 80, Protocol: "UDP"}); !errdefs.IsAlreadyExists(err) || !strings.Contains(err.Error(), who) {
		t.Errorf("a UDP port that a process has: %v, want %q", err, who)
	}
	if other, err := net.Listen("tcp", "127.0.0.1:8080"); err == nil {
		_ = other.Close()
		t.Error("a process of the host could take a Pod's host port")
	}

	hostnet := Request{ID: newID(t), Name: "kube/proxy", Ports: []Port{{HostPort: 10256}}}
	if err := n.ClaimPorts(t.Context(), hostnet); err != nil {
		t.Fatal(err)
	}
	if own, err := net.Listen("tcp", ":10256"); err != nil {
		t.Errorf("a Pod on the host's network cannot bind its own port: %v", err)
	} else {
		_ = own.Close()
	}
	if err := try(Port{HostPort: 10256, ContainerPort: 80}); !errdefs.IsAlreadyExists(err) || !strings.Contains(err.Error(), "Pod kube/proxy") {
		t.Errorf("a port of a Pod on the host's network: %v", err)
	}
	if err := n.Detach(t.Context(), hostnet.ID); err != nil {
		t.Error(err)
	}
	web.end(n)
	none(t, n)
}

func TestRestartAdopts(t *testing.T) {
	cfg := testConfig(t)
	n := open(t, cfg)
	p := attach(t, n, Port{HostPort: 8080, ContainerPort: 80})
	hostnet := Request{ID: newID(t), Name: "kube/proxy", Ports: []Port{{HostPort: 10256}}}
	if err := n.ClaimPorts(t.Context(), hostnet); err != nil {
		t.Fatal(err)
	}
	lost := attach(t, n)
	serve(t, p.ns, "tcp", hostPort(p.IPs[0], 80), "web")
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	// The lease of one is lost, and a hulld was killed in the middle of writing another.
	path := filepath.Join(cfg.StateDir, "leases.log")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(b)) {
		if !strings.Contains(line, lost.id) {
			kept = append(kept, line)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(append(kept, `{"version":1,"lease":{"id":"`), "")), 0o600); err != nil {
		t.Fatal(err)
	}
	// A link that hulld made and did not come to name.
	orphan := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "hullorphan", Group: n.group}, PeerName: "orphanpeer"}
	if err := netlink.LinkAdd(orphan); err != nil {
		t.Fatal(err)
	}

	n = open(t, cfg)
	want := []string{p.id, hostnet.ID, lost.id}
	slices.Sort(want)
	if ids, err := n.List(t.Context()); err != nil || !slices.Equal(ids, want) {
		t.Errorf("List after a restart %v, %v; want %v", ids, err, want)
	}
	for _, q := range []pod{p, lost} {
		if got, err := n.Get(q.id); err != nil || !slices.Equal(got.IPs, q.IPs) || got.HostInterface != q.HostInterface || got.MAC != q.MAC {
			t.Errorf("Get after a restart %+v, %v; want %+v", got, err, q.Result)
		}
	}
	if _, err := netlink.LinkByName("hullorphan"); err == nil {
		t.Error("a link without a name is left")
	}
	expect(t, nil, "tcp", "127.0.0.1:8080", "web "+n.pool.Of(addresses.Host)[0].String())
	if _, err := n.Attach(t.Context(), Request{ID: newID(t), Netns: hulltest.Netns(t), Ports: []Port{{HostPort: 8080, ContainerPort: 1}}}); !errdefs.IsAlreadyExists(err) {
		t.Errorf("a port of before the restart: %v", err)
	}
	q := attach(t, n)
	for _, old := range []pod{p, lost} {
		if q.IPs[0] == old.IPs[0] {
			t.Errorf("address %s was given twice", q.IPs[0])
		}
	}
	for _, id := range []string{p.id, lost.id, hostnet.ID, q.id} {
		if err := n.Detach(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	none(t, n)
	if problems, err := n.Check(t.Context()); err != nil || slices.ContainsFunc(problems, func(s string) bool { return !strings.Contains(s, "nameserver") }) {
		t.Errorf("Check: %v, %v", problems, err)
	}
}

// A port may be another's while the kernel still takes down the namespace of the one who had it. A hulld that dies then must
// not give it back to him.
func TestRestartWhileThePortIsAnothers(t *testing.T) {
	cfg := testConfig(t)
	n := open(t, cfg)
	n.grace = time.Hour
	ports := []Port{{HostPort: 8080, ContainerPort: 80}}
	first, second := newID(t), newID(t)
	for _, id := range []string{first, second} {
		if _, err := n.Attach(t.Context(), Request{ID: id, Netns: hulltest.Netns(t), Ports: ports}); err != nil {
			t.Fatal(err)
		}
		if id == first {
			if err := n.Release(t.Context(), id); err != nil { // its namespace stays: the test has it
				t.Fatal(err)
			}
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = open(t, cfg)
	if ids, err := n.List(t.Context()); err != nil || len(ids) != 2 {
		t.Errorf("%q, %v", ids, err)
	}
	if l := n.leases[first]; len(l.Ports) != 0 {
		t.Errorf("the one that has ended has ports: %+v", l.Ports)
	}
	if l := n.leases[second]; len(l.Ports) != 1 || len(l.held) == 0 {
		t.Errorf("the other one has lost its port: %+v", l)
	}
}

func TestHundredAtOnce(t *testing.T) {
	n := open(t, testConfig(t))
	pods := make([]Result, 100)
	ids := make([]string, len(pods))
	var wg sync.WaitGroup
	for i := range pods {
		ids[i] = newID(t)
		ns := hulltest.Netns(t)
		wg.Go(func() {
			var err error
			if pods[i], err = n.Attach(t.Context(), Request{ID: ids[i], Netns: ns, Ports: []Port{{HostPort: uint16(20000 + i), ContainerPort: 80}}}); err != nil {
				t.Error(err)
			}
			_ = ns.Close()
		})
	}
	wg.Wait()
	seen := map[netip.Addr]bool{}
	for _, p := range pods {
		for _, ip := range p.IPs {
			if seen[ip] {
				t.Errorf("address %s twice", ip)
			}
			seen[ip] = true
		}
	}
	for _, id := range ids {
		wg.Go(func() {
			if err := n.Detach(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	none(t, n)
}

func TestHostWithoutIPv6(t *testing.T) {
	hulltest.NeedRoot(t)
	for _, name := range []string{"ipv6/conf/default/disable_ipv6"} {
		if _, err := sysctl.Host.Set(name, "1"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = sysctl.Host.Set(name, "0") })
	}
	n := open(t, testConfig(t))
	p := attach(t, n, Port{HostPort: 8080, ContainerPort: 80})
	if len(p.IPs) != 1 || !p.IPs[0].Is4() {
		t.Errorf("addresses %v, want one of IPv4", p.IPs)
	}
	serve(t, p.ns, "tcp", hostPort(p.IPs[0], 80), "web")
	expect(t, nil, "tcp", "127.0.0.1:8080", "web "+n.pool.Of(addresses.Host)[0].String())
}
