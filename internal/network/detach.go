package network

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/network/rtnl"
)

var (
	fpRelease = failpoint.New("network.release")
	fpForget  = failpoint.New("network.forget")
)

// ending is a lease on its way out: its ports are free, its link is waited for.
type ending struct {
	done chan struct{}
	err  error // before done closes
}

func (e *ending) over() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// Release takes back at once what others may want, the host ports, and returns: the address follows when the kernel has
// ended the namespace. The sandbox is listed until then.
func (n *Network) Release(_ context.Context, id string) error {
	_, err := n.release(id)
	return err
}

// Leaving adds the sandboxes that have been released and are listed until the kernel has ended their namespaces. One of which that
// went wrong is not among them: nobody is at it any more.
func (n *Network) Leaving(into map[string]bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, l := range n.leases {
		if l.ending != nil && !l.ending.over() {
			into[id] = true
		}
	}
}

// Detach is Release, and waits until the namespace's end has removed the veth; where something keeps the namespace, it
// deletes the veth itself. It is idempotent.
func (n *Network) Detach(ctx context.Context, id string) error {
	e, err := n.release(id)
	if err != nil || e == nil {
		return err
	}
	select {
	case <-e.done:
		return e.err
	case <-ctx.Done():
		return fmt.Errorf("detach sandbox %s: wait for the end of its veth: %w", id, ctx.Err())
	}
}

// release begins the end of a lease, or finds that it has begun. A sandbox that has none has ended long ago.
func (n *Network) release(id string) (*ending, error) {
	l, e, begun := n.begin(id)
	if l == nil || begun {
		return e, nil
	}
	if err := n.freePorts(l); err != nil {
		e.err = fmt.Errorf("detach sandbox %s: %w", id, err)
		close(e.done)
		return nil, e.err
	}
	n.ends.Add(1)
	go n.finish(l, e)
	return e, nil
}

func (n *Network) begin(id string) (l *lease, e *ending, begun bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l = n.leases[id]; l == nil {
		return nil, nil, false
	}
	if l.ending != nil && !l.ending.over() { // else it ended in an error, or the lease would be gone: try again
		return l, l.ending, true
	}
	l.ending = &ending{done: make(chan struct{})}
	return l, l.ending, false
}

func (n *Network) freePorts(l *lease) error {
	if err := fpRelease.Hit(); err != nil {
		return err
	}
	if len(l.Ports) == 0 {
		return nil
	}
	if len(l.ips()) > 0 {
		if err := n.table.remove(l); err != nil {
			return err
		}
		if err := flushConntrack(n.track, l); err != nil {
			return err
		}
	}
	// The ports may be another's before the lease has ended: a hulld that dies in between must not find them in both.
	rest := *l
	rest.Ports = nil
	if err := n.dir.save(&rest, 0); err != nil {
		return err
	}
	releaseAll(l)
	n.book.leave(l)
	return nil
}

// finish waits for the link's end and gives the addresses back. It ends early when the Network closes: the lease is then
// found by the next Open.
func (n *Network) finish(l *lease, e *ending) {
	defer n.ends.Done()
	defer close(e.done)
	if e.err = n.awaitEnd(l); e.err == nil {
		if e.err = fpForget.Hit(); e.err == nil {
			e.err = n.forget(l)
		}
	}
	if e.err != nil {
		e.err = fmt.Errorf("detach sandbox %s: %w", l.ID, e.err)
		n.log.Warn("a sandbox's network could not be removed", "sandbox", l.ID, "error", e.err)
	}
}

// awaitEnd lets the namespace's own end remove the link: asking for it at the same time makes both slow.
func (n *Network) awaitEnd(l *lease) error {
	if l.index == 0 {
		return n.deleteEnd(l) // hulld died in the middle of Attach
	}
	gone := n.watch.Gone(l.index)
	there, err := n.linkExists(l.index)
	if err != nil {
		return err
	}
	if !there {
		n.watch.End(l.index)
		return nil
	}
	grace := time.NewTimer(n.grace)
	defer grace.Stop()
	select {
	case <-gone:
		return nil
	case <-n.closing:
		return context.Canceled
	case <-grace.C:
	}
	n.log.Info("deleting the veth of a namespace that does not end", "sandbox", l.ID, "interface", l.Interface)
	if err := n.host.Use(func(c *rtnl.Conn) error { return deleteOn(c, l.index) }); err != nil {
		return err
	}
	n.watch.End(l.index)
	return nil
}

// flushConntrack drops what the kernel remembers of UDP flows to a sandbox's host ports: such a flow never ends of itself
// while it is used, and would go on to the old Pod, or to the host if it is older than the Pod.
func flushConntrack(track *netlink.Handle, l *lease) error {
	stale := map[netip.Addr]udpFlows{}
	for _, c := range claims(l) {
		if c.proto != "UDP" {
			continue
		}
		pod := l.IPv4
		if c.addr.Is6() {
			pod = l.IPv6
		}
		if stale[pod] == nil {
			stale[pod] = udpFlows{}
		}
		stale[pod][c.port] = pod
	}
	for pod, flows := range stale {
		if _, err := track.ConntrackDeleteFilters(netlink.ConntrackTable, netlink.InetFamily(rtnl.Family(pod)), flows); err != nil {
			return fmt.Errorf("flush UDP flows to %s: %w", pod, err)
		}
	}
	return nil
}

// udpFlows matches flows to these ports that go to the Pod, or that are not translated at all.
type udpFlows map[uint16]netip.Addr

// MatchConntrackFlow is netlink's filter.
func (u udpFlows) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	pod, ok := u[flow.Forward.DstPort]
	if !ok || flow.Forward.Protocol != unix.IPPROTO_UDP {
		return false
	}
	answers, _ := netip.AddrFromSlice(flow.Reverse.SrcIP)
	return answers.Unmap() == pod || flow.Reverse.SrcIP.Equal(flow.Forward.DstIP)
}
