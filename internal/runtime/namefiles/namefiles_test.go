package namefiles

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/runtime/record"
)

func TestWrite(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	aliases := []network.HostAlias{{IP: "10.0.0.1", Hostnames: []string{"alias"}}}
	for name, c := range map[string]struct {
		config   record.SandboxConfig
		hostname string
		hosts    []string
		not      string
	}{
		"a network of its own": {
			record.SandboxConfig{Hostname: "web", Domain: "sub.ns.svc", HostAliases: aliases}, "web",
			[]string{"10.88.0.5\tweb.sub.ns.svc\tweb\n", "fd00::5\tweb.sub.ns.svc\tweb\n", "10.0.0.1\talias\n"}, "host network",
		},
		"the host's": {
			record.SandboxConfig{HostNetwork: true, HostAliases: aliases}, host,
			[]string{"(host network)", "10.0.0.1\talias\n"}, "10.88.0.5",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			st := &record.SandboxStatus{Config: c.config, IPs: []netip.Addr{netip.MustParseAddr("10.88.0.5"), netip.MustParseAddr("fd00::5")}}
			for range 2 {
				if _, err := Write(dir, st); err != nil {
					t.Fatal(err)
				}
			}
			read := map[string]string{}
			for _, m := range Mounts(dir, true) {
				b, err := os.ReadFile(m.Source)
				if err != nil || !m.ReadOnly || !m.GivesWay {
					t.Errorf("%+v: %v", m, err)
				}
				read[m.Destination] = string(b)
			}
			if got := read["/etc/hostname"]; got != c.hostname+"\n" || Hostname(&c.config) != c.hostname {
				t.Errorf("/etc/hostname has %q", got)
			}
			if _, ok := read["/etc/resolv.conf"]; !ok || len(read) != 3 {
				t.Errorf("mounted are %v", read)
			}
			for _, want := range c.hosts {
				if !strings.Contains(read["/etc/hosts"], want) {
					t.Errorf("/etc/hosts has no %q:\n%s", want, read["/etc/hosts"])
				}
			}
			if strings.Contains(read["/etc/hosts"], c.not) {
				t.Errorf("/etc/hosts has %q:\n%s", c.not, read["/etc/hosts"])
			}
		})
	}
	if _, err := Write(filepath.Join(t.TempDir(), "none"), &record.SandboxStatus{}); err == nil {
		t.Error("written into a directory that is not there")
	}
}
