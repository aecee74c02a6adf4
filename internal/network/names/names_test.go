package names

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest/golden"
)

func ptr(s string) *string { return &s }

var homeDNS = HostDNS{Servers: []string{"192.168.1.1", "9.9.9.9"}, Searches: []string{"home.arpa", "lan"}, Options: []string{"timeout:2", "edns0"}}

func TestResolvConf(t *testing.T) {
	cluster := []netip.Addr{netip.MustParseAddr("10.96.0.10"), netip.MustParseAddr("fd00::a")}
	missing := Warning{"MissingClusterDNS", `pod: "web_default(1-2)". kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.`}
	atHome := "search home.arpa lan\nnameserver 192.168.1.1\nnameserver 9.9.9.9\noptions timeout:2 edns0\n"
	inCluster := "search default.svc.cluster.local svc.cluster.local cluster.local home.arpa lan\nnameserver 10.96.0.10\nnameserver fd00::a\noptions ndots:5\n"
	for _, tc := range []struct {
		name string
		dns  DNS
		want string
		warn []Warning
	}{
		{"Default", DNS{Policy: "Default"}, atHome, nil},
		{"ClusterFirst without a cluster", DNS{Policy: "ClusterFirst"}, atHome, []Warning{missing}},
		{"no policy is ClusterFirst", DNS{}, atHome, []Warning{missing}},
		{"ClusterFirst on the host's network", DNS{Policy: "ClusterFirst", HostNetwork: true, ClusterServers: cluster}, atHome, nil},
		{"ClusterFirst", DNS{Policy: "ClusterFirst", ClusterServers: cluster, ClusterDomain: "cluster.local"}, inCluster, nil},
		{"ClusterFirst without a domain", DNS{ClusterServers: cluster[:1]}, "search home.arpa lan\nnameserver 10.96.0.10\noptions ndots:5\n", nil},
		{"ClusterFirstWithHostNet", DNS{Policy: "ClusterFirstWithHostNet", HostNetwork: true, ClusterServers: cluster, ClusterDomain: "cluster.local"}, inCluster, nil},
		{"ClusterFirstWithHostNet without a cluster", DNS{Policy: "ClusterFirstWithHostNet", HostNetwork: true}, atHome, []Warning{missing}},
		{"None", DNS{Policy: "None", Servers: []string{"1.1.1.1"}, Searches: []string{"a.b"}, Options: []DNSOption{{"ndots", ptr("2")}, {"rotate", nil}}},
			"search a.b\nnameserver 1.1.1.1\noptions ndots:2 rotate\n", nil},
		{"dnsConfig is added, once", DNS{Policy: "Default", Servers: []string{"9.9.9.9", "1.1.1.1"}, Searches: []string{"lan", "x"}, Options: []DNSOption{{"timeout", ptr("9")}, {"edns0", ptr("")}, {"ndots", ptr("1")}}},
			"search home.arpa lan x\nnameserver 192.168.1.1\nnameserver 9.9.9.9\nnameserver 1.1.1.1\noptions timeout:9 edns0 ndots:1\n", nil},
		{"too many servers", DNS{Policy: "Default", Servers: []string{"1.1.1.1", "2.2.2.2"}},
			"search home.arpa lan\nnameserver 192.168.1.1\nnameserver 9.9.9.9\nnameserver 1.1.1.1\noptions timeout:2 edns0\n",
			[]Warning{{"DNSConfigForming", "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 192.168.1.1 9.9.9.9 1.1.1.1"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.dns.Host, tc.dns.Namespace, tc.dns.Pod = homeDNS, "default", "web_default(1-2)"
			before := slices.Clone(homeDNS.Options)
			got, warn := ResolvConf(tc.dns)
			if string(got) != tc.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tc.want)
			}
			if !slices.Equal(warn, tc.warn) {
				t.Errorf("warnings %q, want %q", warn, tc.warn)
			}
			if !slices.Equal(homeDNS.Options, before) {
				t.Error("the host's own settings were changed")
			}
		})
	}
}

func TestSearchLimits(t *testing.T) {
	long := strings.Repeat("x", 250)
	nine := slices.Repeat([]string{long}, 9)
	for i := range nine {
		nine[i] = string(rune('a'+i)) + nine[i][1:]
	}
	many := make([]string, 40)
	for i := range many {
		many[i] = strings.Repeat("a", i+1)
	}
	for _, tc := range []struct {
		name     string
		in, want []string
		cut      bool
	}{
		{"all fit", many[:32], many[:32], false},
		{"too many", many, many[:32], true},
		{"one too long", []string{"a", strings.Repeat("b", 254), "c"}, []string{"a", "c"}, true},
		{"exactly 2048", append(slices.Clone(nine[:8]), strings.Repeat("z", 2048-8*251)), append(slices.Clone(nine[:8]), strings.Repeat("z", 2048-8*251)), false},
		{"2049", append(slices.Clone(nine[:8]), strings.Repeat("z", 2049-8*251)), nine[:8], true},
		{"from the end", append(slices.Clone(nine), "tiny"), nine[:8], true},
	} {
		got, cut := fitSearches(tc.in)
		if !slices.Equal(got, tc.want) || cut != tc.cut {
			t.Errorf("%s: %d of %d paths, cut %v; want %d, %v", tc.name, len(got), len(tc.in), cut, len(tc.want), tc.cut)
		}
	}
}

func TestParseResolvConf(t *testing.T) {
	got, err := ParseResolvConf([]byte("# comment\n; also\nnameserver 1.1.1.1 # trailing\n\n  nameserver ::1\nsearch a.b.\nsearch one. . two\noptions ndots:5 rotate\noptions ndots:2\ndomain ignored\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Servers, []string{"1.1.1.1", "::1"}) || !slices.Equal(got.Searches, []string{"one", "two"}) || !slices.Equal(got.Options, []string{"ndots:2", "rotate"}) {
		t.Errorf("parsed %+v", got)
	}
	for _, bad := range []string{"nameserver\n", strings.Repeat("#", maxResolvConf+1)} {
		if _, err := ParseResolvConf([]byte(bad)); err == nil {
			t.Errorf("%.20q was taken", bad)
		}
	}
}

func FuzzResolvConf(f *testing.F) {
	f.Add([]byte("nameserver 1.1.1.1\nsearch a b.\noptions x:1 x:2\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseResolvConf(b)
		if err != nil {
			return
		}
		conf, _ := ResolvConf(DNS{Policy: "Default", Host: c})
		again, err := ParseResolvConf(conf)
		if err != nil || len(again.Servers) > maxNameservers || len(strings.Join(again.Searches, " ")) > maxSearchChars {
			t.Errorf("%q became %q: %v", b, conf, err)
		}
	})
}

func TestReadHostDNSSeesThroughResolved(t *testing.T) {
	dir := t.TempDir()
	etc, behind := filepath.Join(dir, "etc"), filepath.Join(dir, "resolved")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string) {
		t.Helper()
		c, err := readHostDNS(etc, behind)
		if err != nil || !slices.Equal(c.Servers, []string{want}) {
			t.Errorf("servers %v, %v; want %s", c.Servers, err, want)
		}
	}
	if _, err := readHostDNS(etc, behind); !os.IsNotExist(unwrap(err)) {
		t.Errorf("no file: %v", err)
	}
	write(etc, "nameserver 127.0.0.53\n")
	check("127.0.0.53")
	write(behind, "nameserver 10.0.0.1\n")
	check("10.0.0.1")
	write(etc, "nameserver 127.0.0.1\n")
	check("127.0.0.1") // somebody's dnsmasq: as it is
}

func unwrap(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = inner.Unwrap()
	}
}

func TestHosts(t *testing.T) {
	ips := []netip.Addr{netip.MustParseAddr("10.88.0.5"), netip.MustParseAddr("fd12:3456::5")}
	aliases := []HostAlias{{"127.0.0.1", []string{"foo.local", "bar.local"}}, {"10.1.2.3", []string{"foo.remote"}}}
	golden.Check(t, filepath.Join("testdata", "hosts"), Hosts(HostsConfig{IPs: ips, Hostname: "web"}))
	golden.Check(t, filepath.Join("testdata", "hosts_fqdn_aliases"), Hosts(HostsConfig{IPs: ips, Hostname: "web", Domain: "sub.default.svc.cluster.local", Aliases: aliases}))
	golden.Check(t, filepath.Join("testdata", "hosts_host_network"), HostNetworkHosts([]byte("127.0.0.1 localhost\n192.0.2.2 machine\n"), aliases))
}
