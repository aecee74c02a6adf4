package network

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// forwarder carries out what ruleset decided. The table is made from the leases as a whole, in one transaction, when Hull
// starts: it never has to be compared with what is there. After that, each sandbox with host ports adds and removes its
// own elements.
type forwarder struct {
	rules *ruleset

	mu     sync.Mutex
	conn   *nftables.Conn
	active map[string]*lease // whose elements are in the table
}

// elementsPerMessage keeps a message below the 64 KiB of an attribute; nftBuffer holds the answers to a batch that loads
// thousands of ports.
const (
	elementsPerMessage = 200
	nftBuffer          = 4 << 20
)

func newForwarder(instance string, group uint32, hostIPs []netip.Addr) (*forwarder, error) {
	f := &forwarder{rules: newRuleset(instance, group, hostIPs), active: map[string]*lease{}}
	if err := f.connect(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *forwarder) connect() error {
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetReadBuffer(nftBuffer), c.SetWriteBuffer(nftBuffer))
	}))
	if err != nil {
		return fmt.Errorf("open an nftables socket: %w", err)
	}
	f.conn = conn
	return nil
}

// transaction sends what fill adds: all of it happens, or nothing. After an error the socket is a new one, because
// answers to the old request may still be in it. The caller holds mu.
func (f *forwarder) transaction(fill func(c *nftables.Conn) error) error {
	if f.conn == nil {
		if err := f.connect(); err != nil {
			return err
		}
	}
	err := fill(f.conn)
	if err == nil {
		err = f.conn.Flush()
	}
	if err != nil {
		err = errors.Join(err, f.conn.CloseLasting())
		f.conn = nil
	}
	return err
}

// adopt takes over leases whose elements may be in the table of an earlier run; install follows.
func (f *forwarder) adopt(l *lease) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active[l.ID] = l
}

// install puts the table in place, with the host ports of all sandboxes. What was there before goes in the same instant.
func (f *forwarder) install() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	leases := slices.SortedFunc(maps.Values(f.active), func(a, b *lease) int { return strings.Compare(a.ID, b.ID) })
	err := f.transaction(func(c *nftables.Conn) error {
		c.AddTable(f.rules.table)
		c.DelTable(f.rules.table)
		return f.rules.fill(c, leases)
	})
	if err != nil {
		return fmt.Errorf("install nftables table inet %s: %w", f.rules.table.Name, err)
	}
	return nil
}

// fill adds the whole table to a transaction.
func (r *ruleset) fill(c *nftables.Conn, leases []*lease) error {
	c.AddTable(r.table)
	for _, chain := range r.chains {
		c.AddChain(chain)
	}
	for _, s := range r.sets {
		if err := c.AddSet(s, nil); err != nil {
			return err
		}
	}
	for _, rule := range r.rules {
		c.AddRule(rule)
	}
	bySet := map[string][]nftables.SetElement{}
	for _, l := range leases {
		for _, e := range elements(l) {
			bySet[e.set] = append(bySet[e.set], e.elem)
		}
	}
	for _, s := range r.sets {
		for elems := bySet[s.Name]; len(elems) > 0; {
			n := min(len(elems), elementsPerMessage)
			if err := c.SetAddElements(s, elems[:n]); err != nil {
				return err
			}
			elems = elems[n:]
		}
	}
	return nil
}

// add makes a sandbox's host ports work.
func (f *forwarder) add(l *lease) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.active[l.ID] = l
	err := f.transaction(func(c *nftables.Conn) error {
		for _, e := range elements(l) {
			if err := c.SetAddElements(f.rules.setNamed(e.set), []nftables.SetElement{e.elem}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add host ports to nftables table inet %s: %w", f.rules.table.Name, err)
	}
	return nil
}

// remove takes them out again. An element that is not there, or a table that somebody flushed, is as good.
func (f *forwarder) remove(l *lease) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.active, l.ID)
	elems := elements(l)
	del := func(elems []element) error {
		return f.transaction(func(c *nftables.Conn) error {
			for _, e := range elems {
				if err := c.SetDeleteElements(f.rules.setNamed(e.set), []nftables.SetElement{{Key: e.elem.Key}}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := del(elems)
	if errors.Is(err, unix.ENOENT) { // one missing element fails the whole batch
		err = nil
		for _, e := range elems {
			if derr := del([]element{e}); derr != nil && !errors.Is(derr, unix.ENOENT) {
				err = errors.Join(err, derr)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("remove host ports from nftables table inet %s: %w", f.rules.table.Name, err)
	}
	return nil
}

func (f *forwarder) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn == nil {
		return nil
	}
	return f.conn.CloseLasting()
}
