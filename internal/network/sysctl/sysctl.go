// Package sysctl reads and writes the host's network settings, and switches forwarding on without cutting the host off.
package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Net is /proc/sys/net, or what stands for it in a test.
type Net string

// Host is this machine's; to a thread in another network namespace it is that one's.
const Host Net = "/proc/sys/net"

// Get reads one setting.
func (s Net) Get(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(string(s), name))
	return strings.TrimSpace(string(b)), err
}

// Set writes only what is not so already: on some hosts /proc/sys cannot be written and needs not to be.
func (s Net) Set(name, value string) (changed bool, err error) {
	old, err := s.Get(name)
	if err == nil && old == value {
		return false, nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(string(s), name), []byte(value), 0)
	}
	if err != nil {
		return false, fmt.Errorf("set net.%s to %s: %w", strings.ReplaceAll(name, "/", "."), value, err)
	}
	return true, nil
}

// HasIPv6 says whether interfaces that are made on this host get IPv6.
func (s Net) HasIPv6() (bool, error) {
	for _, name := range []string{"ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6"} {
		v, err := s.Get(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look for IPv6: %w", err)
		}
		if v != "0" {
			return false, nil
		}
	}
	return true, nil
}

// Forward4 switches IPv4 forwarding on.
func (s Net) Forward4(log *slog.Logger) error {
	changed, err := s.Set("ipv4/ip_forward", "1")
	if changed {
		log.Info("switched IPv4 forwarding on")
	}
	return err
}

// Forward6 switches IPv6 forwarding on. A forwarding interface no longer listens to router advertisements, unless its
// accept_ra is 2: without that a host that has its default route from one would lose it minutes later.
func (s Net) Forward6(log *slog.Logger) error {
	if v, err := s.Get("ipv6/conf/all/forwarding"); err == nil && v == "1" {
		return nil
	}
	ifaces, err := os.ReadDir(filepath.Join(string(s), "ipv6/conf"))
	if err != nil {
		return fmt.Errorf("list IPv6 interfaces: %w", err)
	}
	for _, e := range ifaces {
		if err := s.keepListening(e.Name(), log); err != nil {
			return err
		}
	}
	if _, err = s.Set("ipv6/conf/all/forwarding", "1"); err == nil {
		log.Info("switched IPv6 forwarding on")
	}
	return err
}

func (s Net) keepListening(iface string, log *slog.Logger) error {
	if iface == "all" || iface == "default" || iface == "lo" { // all changes nothing, and default would make Pods routers of the host
		return nil
	}
	dir := "ipv6/conf/" + iface + "/"
	ra, err := s.Get(dir + "accept_ra")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the interface has gone
	}
	if err != nil {
		return fmt.Errorf("read accept_ra of %s: %w", iface, err)
	}
	if fwd, err := s.Get(dir + "forwarding"); err != nil || fwd != "0" || ra != "1" {
		return nil
	}
	if _, err := s.Set(dir+"accept_ra", "2"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	log.Info("interface goes on accepting router advertisements although it forwards", "interface", iface)
	return nil
}
