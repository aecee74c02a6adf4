package sysctl

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestForwardingKeepsRouterAdvertisements(t *testing.T) {
	dir := Net(t.TempDir())
	for name, value := range map[string]string{
		"ipv4/ip_forward":          "0\n",
		"ipv6/conf/all/forwarding": "0\n", "ipv6/conf/all/accept_ra": "1\n",
		"ipv6/conf/default/forwarding": "0\n", "ipv6/conf/default/accept_ra": "1\n",
		"ipv6/conf/eth0/forwarding": "0\n", "ipv6/conf/eth0/accept_ra": "1\n",
		"ipv6/conf/off/forwarding": "0\n", "ipv6/conf/off/accept_ra": "0\n",
		"ipv6/conf/router/forwarding": "1\n", "ipv6/conf/router/accept_ra": "1\n",
	} {
		path := filepath.Join(string(dir), name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(value), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	if err := errors.Join(dir.Forward4(log), dir.Forward6(log)); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1",
		"ipv6/conf/all/accept_ra": "1", "ipv6/conf/default/accept_ra": "1",
		"ipv6/conf/eth0/accept_ra": "2", "ipv6/conf/off/accept_ra": "0", "ipv6/conf/router/accept_ra": "1",
	} {
		if got, err := dir.Get(name); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
	if v6, err := dir.HasIPv6(); v6 || err != nil {
		t.Errorf("no disable_ipv6 means no IPv6: %v, %v", v6, err)
	}
}
