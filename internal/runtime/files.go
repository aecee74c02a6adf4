package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/undo"
)

// kernelName is what uname -n says in a sandbox with a network of its own.
func (c *SandboxConfig) kernelName() string {
	if c.SetHostnameAsFQDN && c.Domain != "" {
		return c.Hostname + "." + c.Domain
	}
	return c.Hostname
}

// hostname is what a container's /etc/hostname and $HOSTNAME say: the Pod's, or the host's own when they share a network.
func (s *sandbox) hostname() string {
	if name := s.config().kernelName(); name != "" {
		return name
	}
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return host
}

// makeFiles writes the files that name things: once a Pod, and mounted into every container. They live in the sandbox's
// directory, whose undo removes them.
func (s *sandbox) makeFiles(_ context.Context, back *undo.Stack) error {
	if err := back.Push(fpSandboxFiles, "remove the name files", func(context.Context) error { return nil }); err != nil {
		return err
	}
	st := s.status()
	cfg := &st.Config
	dns := cfg.DNS
	dns.HostNetwork, dns.Namespace, dns.Pod = cfg.HostNetwork, cfg.Namespace, fmt.Sprintf("%s_%s(%s)", cfg.Name, cfg.Namespace, cfg.UID)
	var err error
	if dns.Host, err = network.ReadHostDNS(); err != nil {
		return err
	}
	resolv, warnings := network.ResolvConf(dns)
	s.mu.Lock()
	s.rec.Status.Warnings = warnings
	s.mu.Unlock()
	hosts, err := s.hosts(&st)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"resolv.conf": resolv, "hosts": hosts, "hostname": []byte(s.hostname() + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(s.r.dir.sandbox(s.id), name), data, 0o644); err != nil {
			return fmt.Errorf("write the Pod's %s: %w", name, err)
		}
	}
	return nil
}

func (s *sandbox) hosts(st *SandboxStatus) ([]byte, error) {
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
