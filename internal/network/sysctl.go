package network

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// sysctls is /proc/sys/net.
type sysctls string

const procSysNet sysctls = "/proc/sys/net"

func (s sysctls) get(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(string(s), name))
	return strings.TrimSpace(string(b)), err
}

// set writes only what is not so already: on some hosts /proc/sys cannot be written and needs not to be.
func (s sysctls) set(name, value string) (changed bool, err error) {
	old, err := s.get(name)
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

// hasIPv6 says whether interfaces that are made on this host get IPv6.
func (s sysctls) hasIPv6() (bool, error) {
	for _, name := range []string{"ipv6/conf/all/disable_ipv6", "ipv6/conf/default/disable_ipv6"} {
		v, err := s.get(name)
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

// forward4 switches IPv4 forwarding on.
func (s sysctls) forward4(log *slog.Logger) error {
	changed, err := s.set("ipv4/ip_forward", "1")
	if changed {
		log.Info("switched IPv4 forwarding on")
	}
	return err
}

// forward6 switches IPv6 forwarding on. A forwarding interface no longer listens to router advertisements, unless its
// accept_ra is 2: without that a host that has its default route from one would lose it minutes later.
func (s sysctls) forward6(log *slog.Logger) error {
	if v, err := s.get("ipv6/conf/all/forwarding"); err == nil && v == "1" {
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
	if _, err = s.set("ipv6/conf/all/forwarding", "1"); err == nil {
		log.Info("switched IPv6 forwarding on")
	}
	return err
}

func (s sysctls) keepListening(iface string, log *slog.Logger) error {
	if iface == "all" || iface == "default" || iface == "lo" { // all changes nothing, and default would make Pods routers of the host
		return nil
	}
	dir := "ipv6/conf/" + iface + "/"
	ra, err := s.get(dir + "accept_ra")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the interface has gone
	}
	if err != nil {
		return fmt.Errorf("read accept_ra of %s: %w", iface, err)
	}
	if fwd, err := s.get(dir + "forwarding"); err != nil || fwd != "0" || ra != "1" {
		return nil
	}
	if _, err := s.set(dir+"accept_ra", "2"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	log.Info("interface goes on accepting router advertisements although it forwards", "interface", iface)
	return nil
}
