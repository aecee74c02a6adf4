// Package namefiles writes the files that name things, /etc/resolv.conf, /etc/hosts and /etc/hostname: once a Pod, for all of
// its containers.
package namefiles

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/record"
)

// files are mounted into each container of the Pod unless a volume stands there.
var files = []struct{ name, destination string }{
	{"resolv.conf", "/etc/resolv.conf"},
	{"hosts", "/etc/hosts"},
	{"hostname", "/etc/hostname"},
}

// Mounts has a container see the files in dir.
func Mounts(dir string, readOnly bool) []oci.Mount {
	list := make([]oci.Mount, len(files))
	for i, f := range files {
		list[i] = oci.Mount{Source: filepath.Join(dir, f.name), Destination: f.destination, ReadOnly: readOnly, GivesWay: true}
	}
	return list
}

// Hostname is what a container's /etc/hostname and $HOSTNAME say: the Pod's, or the host's own when they share a network.
func Hostname(cfg *record.SandboxConfig) string {
	if name := cfg.KernelName(); name != "" {
		return name
	}
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return host
}

// Begin makes them, empty, so that they can be mounted before there is anything to write.
func Begin(dir string) error {
	for _, f := range files {
		file, err := os.OpenFile(filepath.Join(dir, f.name), os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return fmt.Errorf("make the Pod's %s: %w", f.name, err)
		}
		_ = file.Close()
	}
	return nil
}

// Write writes them into dir, in place, for a sandbox whose addresses are known.
func Write(dir string, st *record.SandboxStatus) ([]network.Warning, error) {
	cfg := &st.Config
	dns := cfg.DNS
	dns.HostNetwork, dns.Namespace, dns.Pod = cfg.HostNetwork, cfg.Namespace, fmt.Sprintf("%s_%s(%s)", cfg.Name, cfg.Namespace, cfg.UID)
	var err error
	if dns.Host, err = network.ReadHostDNS(); err != nil {
		return nil, err
	}
	resolv, warnings := network.ResolvConf(dns)
	hosts, err := hosts(st)
	if err != nil {
		return nil, err
	}
	for name, data := range map[string][]byte{
		"resolv.conf": resolv, "hosts": hosts, "hostname": []byte(Hostname(cfg) + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return nil, fmt.Errorf("write the Pod's %s: %w", name, err)
		}
	}
	return warnings, nil
}

func hosts(st *record.SandboxStatus) ([]byte, error) {
	if st.Config.HostNetwork {
		own, err := os.ReadFile("/etc/hosts")
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read the host's /etc/hosts: %w", err)
		}
		return network.HostNetworkHosts(own, st.Config.HostAliases), nil
	}
	return network.Hosts(network.HostsConfig{
		IPs: st.IPs, Hostname: st.Config.Hostname, Domain: st.Config.Domain, Aliases: st.Config.HostAliases,
	}), nil
}
