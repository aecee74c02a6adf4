// Package registry reaches the registries, as the machine's configuration says: mirrors and certificates in containerd's
// certs.d form, credentials for one pull, and an end to an answer that never comes.
package registry

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"

	"github.com/hull-pods/hull/internal/image/class"
)

// Config says where the configuration is, and how long a registry may be silent.
type Config struct {
	Dir   string
	Stall time.Duration
	// Logger makes a logger for containerd's libraries; it gives the errors that they only log to onError.
	Logger func(onError func(error)) *log.Entry
}

// Credentials are a registry's: a user with a password, or a token by itself. They are kept only while a pull runs.
type Credentials struct {
	// Server is the registry's host; credentials with a Server are shown to no other. Without one they go to whatever
	// hosts stand for the reference's registry.
	Server             string
	Username, Password string
	// IdentityToken is an OAuth refresh token, in place of the password.
	IdentityToken string
}

// Key tells credentials apart without keeping a secret.
func (c *Credentials) Key() string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q", []string{c.Server, c.Username, c.Password, c.IdentityToken})))
}

// Session is the way to the registries for one pull: hosts and mirrors as configured at its start.
type Session struct {
	remotes.Resolver
	mu         sync.Mutex
	transports []*http.Transport
}

// Open reads the hosts' configuration and prepares a resolver.
func Open(ctx context.Context, cfg Config, creds *Credentials) *Session {
	r := &Session{}
	// containerd only logs a hosts.toml that it cannot read and goes on to the public host: here that is an error.
	var misread []error
	quiet := log.WithLogger(ctx, cfg.Logger(func(err error) { misread = append(misread, err) }))
	hosts := config.ConfigureHosts(quiet, config.HostOptions{
		HostDir:     cfg.hostDir,
		Credentials: creds.forHost,
		UpdateClient: func(c *http.Client) error {
			if t, ok := c.Transport.(*http.Transport); ok {
				r.mu.Lock()
				r.transports = append(r.transports, t)
				r.mu.Unlock()
				c.Transport = boundTransport{&stallTransport{next: t, limit: cfg.Stall}}
			}
			return nil
		},
	})
	r.Resolver = docker.NewResolver(docker.ResolverOptions{
		Headers: http.Header{"User-Agent": {"hull"}},
		Hosts: func(host string) ([]docker.RegistryHost, error) {
			misread = nil
			found, err := hosts(host)
			if err = errors.Join(append(misread, err)...); err != nil {
				return nil, class.Of(fmt.Errorf("registry configuration of %s: %w", host, err), errdefs.ErrFailedPrecondition)
			}
			return found, nil
		},
	})
	return r
}

// Close ends the session's connections.
func (r *Session) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.transports {
		t.CloseIdleConnections()
	}
}

// hostDir finds the directory of a host's configuration, or of _default.
func (cfg Config) hostDir(host string) (string, error) {
	if cfg.Dir == "" {
		return "", errdefs.ErrNotFound
	}
	// A host comes from a manifest: it is one name, never a path.
	if host != filepath.Base(host) || strings.HasPrefix(host, ".") || strings.HasPrefix(host, "_") {
		return "", fmt.Errorf("registry %q: %w", host, errdefs.ErrInvalidArgument)
	}
	return config.HostDirFromRoot(cfg.Dir)(host)
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
