package network

import (
	"context"

	"github.com/containerd/errdefs"
)

// Network is the network of all sandboxes of one instance. Its methods are safe for concurrent use.
type Network struct{}

// Open switches forwarding on, puts the instance's nftables table in place and loads the leases.
func Open(ctx context.Context, cfg Config) (*Network, error) { return nil, errdefs.ErrNotImplemented }

// Attach gives a sandbox its interface, addresses and host ports. On an error nothing of it is left.
func (n *Network) Attach(ctx context.Context, req Request) (Result, error) {
	return Result{}, errdefs.ErrNotImplemented
}

// ClaimPorts reserves host ports for a sandbox without a network of its own (hostNetwork), whose processes bind them
// themselves. Detach gives them back.
func (n *Network) ClaimPorts(ctx context.Context, req Request) error { return errdefs.ErrNotImplemented }

// Get is what Attach returned for this sandbox, also after a restart; errdefs.ErrNotFound when it has none.
func (n *Network) Get(id string) (Result, error) { return Result{}, errdefs.ErrNotImplemented }

// Release takes back at once what others may want, the host ports, and returns: the address follows when the kernel has
// ended the namespace. The sandbox is listed until then.
func (n *Network) Release(ctx context.Context, id string) error { return errdefs.ErrNotImplemented }

// Detach is Release, and waits until the namespace's end has removed the veth; where something keeps the namespace, it
// deletes the veth itself. It is idempotent.
func (n *Network) Detach(ctx context.Context, id string) error { return errdefs.ErrNotImplemented }

// List is the sandbox IDs that own a veth, a lease or a port of this instance, sorted.
func (n *Network) List(ctx context.Context) ([]string, error) { return nil, errdefs.ErrNotImplemented }

// Check looks for what keeps Pods from talking, and says it in words. No problem is an empty list.
func (n *Network) Check(ctx context.Context) ([]string, error) { return nil, errdefs.ErrNotImplemented }

// Repair puts back what Check found missing and what is Hull's own: forwarding and the nftables table.
func (n *Network) Repair(ctx context.Context) error { return errdefs.ErrNotImplemented }

// Purge removes everything of this instance from the kernel and from StateDir. The Network is closed after it.
func (n *Network) Purge(ctx context.Context) error { return errdefs.ErrNotImplemented }

// Close lets go of the host's sockets. Sandboxes keep their network; host ports are held again by the next Open.
func (n *Network) Close() error { return nil }
