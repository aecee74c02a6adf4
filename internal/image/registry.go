package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
)

// session is the way to the registries for one pull: hosts and mirrors as configured at its start.
type session struct {
	resolver   remotes.Resolver
	mu         sync.Mutex
	transports []*http.Transport
}

// session reads the hosts' configuration and prepares a resolver. close ends its connections.
func (s *Store) session(ctx context.Context, creds *Credentials) *session {
	r := &session{}
	// containerd only logs a hosts.toml that it cannot read and goes on to the public host: here that is an error.
	var misread []error
	quiet := log.WithLogger(namespaces.WithNamespace(ctx, namespace), containerdLog(s.log, func(err error) { misread = append(misread, err) }))
	hosts := config.ConfigureHosts(quiet, config.HostOptions{
		HostDir:     s.hostDir,
		Credentials: creds.forHost,
		UpdateClient: func(c *http.Client) error {
			if t, ok := c.Transport.(*http.Transport); ok {
				r.mu.Lock()
				r.transports = append(r.transports, t)
				r.mu.Unlock()
				c.Transport = &stallTransport{next: t, limit: s.config.Stall}
			}
			return nil
		},
	})
	r.resolver = docker.NewResolver(docker.ResolverOptions{
		Headers: http.Header{"User-Agent": {"hull"}},
		Hosts: func(host string) ([]docker.RegistryHost, error) {
			misread = nil
			found, err := hosts(host)
			if err = errors.Join(append(misread, err)...); err != nil {
				return nil, classed{fmt.Errorf("registry configuration of %s: %w", host, err), errdefs.ErrFailedPrecondition}
			}
			return found, nil
		},
	})
	return r
}

func (r *session) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.transports {
		t.CloseIdleConnections()
	}
}

// hostDir finds the directory of a host's configuration, or of _default.
func (s *Store) hostDir(host string) (string, error) {
	if s.config.RegistryConfig == "" {
		return "", errdefs.ErrNotFound
	}
	// A host comes from a manifest: it is one name, never a path.
	if host != filepath.Base(host) || strings.HasPrefix(host, ".") || strings.HasPrefix(host, "_") {
		return "", fmt.Errorf("registry %q: %w", host, errdefs.ErrInvalidArgument)
	}
	return config.HostDirFromRoot(s.config.RegistryConfig)(host)
}

// forHost gives the credentials to the hosts that they are for.
func (c *Credentials) forHost(host string) (user, secret string, err error) {
	if c == nil {
		return "", "", nil
	}
	if c.Server != "" && !sameServer(c.Server, host) {
		return "", "", nil
	}
	if c.IdentityToken != "" {
		return "", c.IdentityToken, nil
	}
	return c.Username, c.Password, nil
}

// sameServer compares a server as people and docker's config.json write it ("https://index.docker.io/v1/") with the host of a
// request.
func sameServer(server, host string) bool {
	server = strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	server, _, _ = strings.Cut(server, "/")
	docker := func(h string) string {
		if h == "index.docker.io" || h == "registry-1.docker.io" {
			return "docker.io"
		}
		return h
	}
	return docker(server) == docker(host)
}
