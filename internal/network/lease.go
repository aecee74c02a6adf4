package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// lease is what a sandbox holds: addresses and host ports. It is written down before anything of it is in the kernel, and
// struck out when all of it has gone from there.
type lease struct {
	ID        string     `json:"id"`
	Name      string     `json:"name,omitempty"`
	IPv4      netip.Addr `json:"ipv4,omitzero"`
	IPv6      netip.Addr `json:"ipv6,omitzero"`
	Interface string     `json:"interface,omitempty"` // the host's end; empty for ports alone
	Ports     []Port     `json:"ports,omitempty"`

	index  int32   // of the host's end; 0 when there is none. Written under Network.mu, which Check reads it under
	ending *ending // since Release
	held   []held  // host ports
	lost   []claim // those that somebody else took while no hulld held them
}

// ips are the addresses, IPv4 first.
func (l *lease) ips() []netip.Addr {
	var ips []netip.Addr
	for _, ip := range []netip.Addr{l.IPv4, l.IPv6} {
		if ip.IsValid() {
			ips = append(ips, ip)
		}
	}
	return ips
}

// holder is how people know the sandbox.
func (l *lease) holder() string {
	if l.Name != "" {
		return "Pod " + l.Name
	}
	return "sandbox " + l.ID
}

const leaseVersion = 1

// record is one line of the log of leases.
type record struct {
	Version int    `json:"version"`
	Lease   *lease `json:"lease,omitempty"`
	Gone    string `json:"gone,omitempty"` // the ID of a lease that ended
	Next    uint32 `json:"next,omitempty"` // where the next search for a free address begins
}

// leaseLog keeps leases in a file that only grows, until it is written anew. A line is one write, so that a hulld that is
// killed leaves it whole or not at all. It need not survive a crash of the machine: then no sandbox is left either, and
// nothing is synced.
type leaseLog struct {
	path string
	log  *slog.Logger

	mu     sync.Mutex
	file   *os.File
	size   int64
	lines  int
	leases map[string]*lease
	next   uint32
}

// rewriteAfter is how many lines more than leases a log may have.
const rewriteAfter = 4096

// openLeaseLog reads the log and writes it anew, without what has ended. On a full disk it goes on as it is: who has Pods must be able
// to start, if only to remove them.
func openLeaseLog(dir string, log *slog.Logger) (*leaseLog, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of leases: %w", err)
	}
	d := &leaseLog{path: filepath.Join(dir, "leases.log"), log: log, leases: map[string]*lease{}}
	b, err := os.ReadFile(d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	if err := d.replay(b); err != nil {
		return nil, err
	}
	err = d.rewrite()
	if len(b) > 0 && (errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)) {
		log.Warn("the log of leases goes on as it is", "error", err)
		err = d.resume(b)
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// resume goes on with a log that was read, behind its last whole line.
func (d *leaseLog) resume(b []byte) error {
	b = b[:bytes.LastIndexByte(b, '\n')+1]
	if err := os.Truncate(d.path, int64(len(b))); err != nil {
		return fmt.Errorf("cut the log of leases: %w", err)
	}
	return d.appendTo(len(b), bytes.Count(b, []byte("\n")))
}

// replay reads the log's lines. A last line that is not whole was never acted on; any other that cannot be read is told
// and passed over, because the links themselves say whose they are.
func (d *leaseLog) replay(b []byte) error {
	for line := range bytes.Lines(b) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			return nil
		}
		var r record
		err := json.Unmarshal(line, &r)
		if err == nil && r.Version != leaseVersion {
			return fmt.Errorf("read leases from %s: version %d is not known here: %w", d.path, r.Version, errdefs.ErrFailedPrecondition)
		}
		if err == nil && r.Lease != nil {
			err = checkID(r.Lease.ID)
		}
		if err != nil {
			d.log.Warn("passed over a lease that cannot be read", "file", d.path, "error", err)
			continue
		}
		d.apply(r)
	}
	return nil
}

func (d *leaseLog) apply(r record) {
	if r.Lease != nil {
		d.leases[r.Lease.ID] = r.Lease
	}
	delete(d.leases, r.Gone)
	if r.Next != 0 {
		d.next = r.Next
	}
}

// rewrite puts a log in place that has one line for each lease. The caller holds mu, or is the only one.
func (d *leaseLog) rewrite() error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	err := enc.Encode(record{Version: leaseVersion, Next: d.next})
	for _, l := range d.leases {
		err = errors.Join(err, enc.Encode(record{Version: leaseVersion, Lease: l}))
	}
	if err != nil {
		return fmt.Errorf("write leases: %w", err)
	}
	if err := replaceFile(d.path, b.Bytes()); err != nil {
		return fmt.Errorf("write leases: %w", err)
	}
	return d.appendTo(b.Len(), len(d.leases)+1)
}

// appendTo opens the log that is in place, of so many bytes and lines.
func (d *leaseLog) appendTo(size, lines int) error {
	file, err := os.OpenFile(d.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("open the log of leases: %w", err)
	}
	if d.file != nil {
		_ = d.file.Close()
	}
	d.file, d.size, d.lines = file, int64(size), lines
	return nil
}

// save writes a lease down.
func (d *leaseLog) save(l *lease, next uint32) error {
	if err := d.append(record{Version: leaseVersion, Lease: l, Next: next}); err != nil {
		return fmt.Errorf("write the lease of %s: %w", l.ID, err)
	}
	return nil
}

// remove strikes a lease out.
func (d *leaseLog) remove(id string) error {
	if err := d.append(record{Version: leaseVersion, Gone: id}); err != nil {
		return fmt.Errorf("remove the lease of %s: %w", id, err)
	}
	return nil
}

func (d *leaseLog) append(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Lease == nil && d.leases[r.Gone] == nil {
		return nil
	}
	if _, err := d.file.Write(line); err != nil {
		// A disk that is full may have taken half a line, to which the next would be joined.
		return errors.Join(err, d.file.Truncate(d.size))
	}
	d.size += int64(len(line))
	d.lines++
	d.apply(r)
	if d.lines > len(d.leases)+rewriteAfter {
		return d.rewrite()
	}
	return nil
}

func (d *leaseLog) close() error { return d.file.Close() }

// replaceFile writes a file so that readers see the old one or the new one.
func replaceFile(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return os.Rename(tmp, path)
}
