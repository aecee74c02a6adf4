package network

import (
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/network/addresses"
	"github.com/hull-pods/hull/internal/network/instances"
	"github.com/hull-pods/hull/internal/network/sysctl"
)

// foreign makes a table of somebody else's with one chain on the way of forwarded packets.
func foreign(t *testing.T, policy nftables.ChainPolicy, rules ...[]expr.Any) {
	t.Helper()
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	table := c.AddTable(&nftables.Table{Name: "theirs", Family: nftables.TableFamilyINet})
	sub := c.AddChain(&nftables.Chain{Name: "sub", Table: table})
	chain := c.AddChain(&nftables.Chain{Name: "fwd", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookForward, Priority: nftables.ChainPriorityFilter, Policy: &policy})
	c.AddRule(&nftables.Rule{Table: table, Chain: sub, Exprs: verdict(expr.VerdictDrop, "")})
	for _, r := range rules {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: r})
	}
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.DelTable(table)
		if err := c.Flush(); err != nil {
			t.Error(err)
		}
	})
}

func TestCheckNamesTheTableThatDrops(t *testing.T) {
	n := open(t, testConfig(t))
	p, q := attach(t, n), attach(t, n)
	serve(t, q.ns, "tcp", hostPort(q.IPs[0], 80), "q")

	interfaces := func(key expr.MetaKey) []expr.Any {
		return []expr.Any{&expr.Meta{Key: key, Register: 1}, equal([]byte("hull"))}
	}
	established := []expr.Any{&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: []byte{6, 0, 0, 0}, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}}
	port22 := []expr.Any{&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}, equal([]byte{0, 22})}
	ours := n.pool.V4
	with := func(parts ...[]expr.Any) []expr.Any { return slices.Concat(parts...) }
	accept, drop := verdict(expr.VerdictAccept, ""), verdict(expr.VerdictDrop, "")
	for _, tc := range []struct {
		name    string
		policy  nftables.ChainPolicy
		rules   [][]expr.Any
		want    []string // each in a problem of its own
		dropped bool     // what really happens between two Pods
	}{
		{"policy drop", nftables.ChainPolicyDrop, nil, []string{
			`nftables table inet theirs drops what Pods send (policy of chain fwd): nft insert rule inet theirs fwd iifname "hull*" accept`,
			`nftables table inet theirs drops what is sent to Pods (policy of chain fwd): nft insert rule inet theirs fwd oifname "hull*" accept`}, true},
		{"policy drop, only answers accepted", nftables.ChainPolicyDrop, [][]expr.Any{with(established, accept)}, []string{"drops what Pods send", "drops what is sent to Pods"}, true},
		{"the way out", nftables.ChainPolicyDrop, [][]expr.Any{with(interfaces(expr.MetaKeyIIFNAME), accept), with(interfaces(expr.MetaKeyOIFNAME), accept)}, nil, false},
		{"half of it", nftables.ChainPolicyDrop, [][]expr.Any{with(interfaces(expr.MetaKeyIIFNAME), accept)}, []string{"drops what is sent to Pods"}, false},
		{"accepted by address", nftables.ChainPolicyDrop, [][]expr.Any{with(inet4.is(), inet4.source(ours), accept), with(inet4.is(), inet4.destination(ours), accept)}, nil, false},
		{"a rule that drops all", nftables.ChainPolicyAccept, [][]expr.Any{drop}, []string{"drops what Pods send (rule of chain fwd)", "drops what is sent to Pods (rule of chain fwd)"}, true},
		{"in a chain of its own", nftables.ChainPolicyAccept, [][]expr.Any{verdict(expr.VerdictJump, "sub")}, []string{"drops what Pods send (rule of chain sub)", "drops what is sent to Pods"}, true},
		{"about another interface", nftables.ChainPolicyAccept, [][]expr.Any{with([]expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, equal([]byte("docker0\x00"))}, drop)}, nil, false},
		{"about a port", nftables.ChainPolicyAccept, [][]expr.Any{with(port22, drop)}, nil, false},
		{"a port accepted before all is dropped", nftables.ChainPolicyDrop, [][]expr.Any{with(port22, accept)}, []string{"may drop what Pods send (policy of chain fwd), unless an earlier rule accepts it", "may drop what is sent"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			foreign(t, tc.policy, tc.rules...)
			problems, err := checker{n}.checkFirewalls()
			if err != nil || len(problems) != len(tc.want) {
				t.Fatalf("problems %q, %v; want %q", problems, err, tc.want)
			}
			for i, want := range tc.want {
				if !strings.Contains(problems[i], want) {
					t.Errorf("problem %q, want %q", problems[i], want)
				}
			}
			if !tc.dropped { // what is dropped cannot be waited for
				expect(t, p.ns, "tcp", hostPort(q.IPs[0], 80), "q "+p.IPs[0].String())
			}
		})
	}
}

func TestRepair(t *testing.T) {
	n := open(t, testConfig(t))
	p := attach(t, n, Port{HostPort: 8080, ContainerPort: 80})
	serve(t, p.ns, "tcp", hostPort(p.IPs[0], 80), "web")
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	c.FlushRuleset()
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := sysctl.Host.Set("ipv4/ip_forward", "0"); err != nil {
		t.Fatal(err)
	}
	problems, err := n.Check(t.Context())
	text := strings.Join(problems, "\n")
	if err != nil || !strings.Contains(text, instances.Table(n.cfg.Instance)+" is not whole") || !strings.Contains(text, "net.ipv4.ip_forward is 0") {
		t.Errorf("Check of a flushed host: %q, %v", problems, err)
	}
	if err := n.Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, nil, "tcp", "127.0.0.1:8080", "web "+n.pool.Of(addresses.Host)[0].String())
	problems, err = n.Check(t.Context())
	if text := strings.Join(problems, "\n"); err != nil || strings.Contains(text, "whole") || strings.Contains(text, "forward") {
		t.Errorf("Check after Repair: %q, %v", problems, err)
	}
}

// TestCheckBesideAttach is for the race detector: hull system check asks while Pods start.
func TestCheckBesideAttach(t *testing.T) {
	n := open(t, testConfig(t))
	var starting sync.WaitGroup
	for i := range uint16(4) {
		req := Request{ID: newID(t), Netns: hulltest.Netns(t), Ports: []Port{{HostPort: 8080 + i, ContainerPort: 80}}}
		starting.Go(func() {
			for range 3 {
				if _, err := n.Attach(t.Context(), req); err != nil {
					t.Error(err)
				}
				if err := n.Detach(t.Context(), req.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	started := make(chan struct{})
	go func() {
		starting.Wait()
		close(started)
	}()
	for {
		select {
		case <-started:
			return
		default:
		}
		if _, err := n.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestCheckNamesAnOverlappingRoute(t *testing.T) {
	o := newOutside(t)
	cfg := testConfig(t)
	cfg.IPv4 = ours(o)
	n := open(t, cfg)
	problems, err := checker{n}.checkRoutes()
	want := "the host's route to 198.51.100.0/24 by uplink overlaps the Pods' pool 198.51.100.0/25: choose another pool"
	if err != nil || !slices.Equal(problems, []string{want}) {
		t.Errorf("problems %q, %v; want %q", problems, err, want)
	}
}

// Rules of iptables-legacy are in no table that nftables tells of.
func TestCheckReadsLegacyRules(t *testing.T) {
	n := open(t, testConfig(t))
	p, q := attach(t, n), attach(t, n)
	for i, command := range []string{"iptables-legacy", "ip6tables-legacy"} {
		if _, err := exec.LookPath(command); err != nil {
			t.Skip(command + " is not installed")
		}
		if err := exec.Command(command, "-L").Run(); err != nil {
			t.Skip("this kernel has no rules of " + command)
		}
		run := func(args ...string) {
			t.Helper()
			if out, err := exec.Command(command, append([]string{"-w"}, args...)...).CombinedOutput(); err != nil {
				t.Fatalf("%s %v: %v: %s", command, args, err, out)
			}
		}
		t.Cleanup(func() {
			run("-P", "FORWARD", "ACCEPT")
			run("-F")
		})
		serve(t, q.ns, "tcp", hostPort(q.IPs[i], 80), "q")
		sent, reached := "drops what Pods send: "+command+" -I FORWARD -i hull+ -j ACCEPT", "drops what is sent to Pods: "+command+" -I FORWARD -o hull+ -j ACCEPT"
		maybe := strings.NewReplacer("drops", "may drop", ": ", ", unless an earlier rule accepts it: ")
		for _, tc := range []struct {
			name string
			rule []string
			want []string
		}{
			{"accept", []string{"-P", "FORWARD", "ACCEPT"}, nil},
			{"policy", []string{"-P", "FORWARD", "DROP"}, []string{sent, reached}},
			{"another interface", []string{"-A", "FORWARD", "-i", "docker0", "-j", "ACCEPT"}, []string{sent, reached}},
			{"one way", []string{"-A", "FORWARD", "-i", "hull+", "-j", "ACCEPT"}, []string{reached}},
			{"some ports", []string{"-I", "FORWARD", "-p", "tcp", "--dport", "22", "-j", "ACCEPT"}, []string{maybe.Replace(reached)}},
			{"as told", []string{"-I", "FORWARD", "-o", "hull+", "-j", "ACCEPT"}, nil},
			{"a drop", []string{"-I", "FORWARD", "-i", "hull+", "-j", "DROP"}, []string{sent}},
		} {
			run(tc.rule...)
			problems, err := checker{n}.checkFirewalls()
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, w := range tc.want {
				want = append(want, "the FORWARD chain of "+command+" "+w)
			}
			if !slices.Equal(problems, want) {
				t.Errorf("%s, %s:\n%q\nwant\n%q", command, tc.name, problems, want)
			}
			if tc.name == "as told" {
				expect(t, p.ns, "tcp", hostPort(q.IPs[i], 80), "q "+p.IPs[i].String())
			}
		}
		run("-P", "FORWARD", "ACCEPT")
		run("-F")
	}
}
