package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

const leaseVersion = 1

// lease is what a sandbox holds: addresses and host ports. Its file is there before anything of it is in the kernel, and
// until all of it has gone from there.
type lease struct {
	Version   int        `json:"version"`
	ID        string     `json:"id"`
	Name      string     `json:"name,omitempty"`
	IPv4      netip.Addr `json:"ipv4,omitzero"`
	IPv6      netip.Addr `json:"ipv6,omitzero"`
	Interface string     `json:"interface,omitempty"` // the host's end; empty for ports alone
	Ports     []Port     `json:"ports,omitempty"`

	index  int32   // of the host's end; 0 when there is none
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

// leaseDir keeps leases as files. It survives a crash of hulld at any instant because files appear by rename. It need not
// survive a crash of the machine: then no sandbox is left either, so nothing is synced.
type leaseDir struct {
	dir  string
	next *os.File
	log  *slog.Logger
}

func openLeaseDir(dir string, log *slog.Logger) (*leaseDir, error) {
	if err := os.MkdirAll(filepath.Join(dir, "leases"), 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of leases: %w", err)
	}
	next, err := os.OpenFile(filepath.Join(dir, "next"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the address counter: %w", err)
	}
	return &leaseDir{dir: dir, next: next, log: log}, nil
}

func (d *leaseDir) path(id string) string { return filepath.Join(d.dir, "leases", id+".json") }

// load reads all leases. A file that cannot be read is removed: a lease that was never whole was never used.
func (d *leaseDir) load() (map[string]*lease, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, "leases"))
	if err != nil {
		return nil, fmt.Errorf("list leases: %w", err)
	}
	leases := map[string]*lease{}
	for _, e := range entries {
		path := filepath.Join(d.dir, "leases", e.Name())
		l, err := readLease(path)
		if err == nil && l.ID+".json" != e.Name() {
			err = errors.New("it is not a lease")
		}
		if err != nil {
			d.log.Warn("removed a lease that cannot be read", "file", path, "error", err)
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("remove a broken lease: %w", err)
			}
			continue
		}
		leases[l.ID] = l
	}
	return leases, nil
}

func readLease(path string) (*lease, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var l lease
	if err := json.Unmarshal(b, &l); err != nil {
		return nil, err
	}
	if l.Version != leaseVersion {
		return nil, fmt.Errorf("version %d is not known", l.Version)
	}
	return &l, checkID(l.ID)
}

func (d *leaseDir) save(l *lease) error {
	if err := writeFile(d.path(l.ID), l); err != nil {
		return fmt.Errorf("write the lease of %s: %w", l.ID, err)
	}
	return nil
}

func (d *leaseDir) remove(id string) error {
	if err := os.Remove(d.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the lease of %s: %w", id, err)
	}
	return nil
}

// writeFile writes a value as JSON so that readers see the old file or the new one. The temporary name cannot be taken
// for a lease: it ends otherwise, and load removes it.
func writeFile(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return errors.Join(err, removeQuietly(tmp))
	}
	return os.Rename(tmp, path)
}

func removeQuietly(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// counter is where the search for a free address goes on; it is read once and rewritten in place, a line of fixed length.
func (d *leaseDir) counter() uint32 {
	var n uint32
	b := make([]byte, 32)
	k, _ := d.next.ReadAt(b, 0) // an empty or broken file begins anew
	if _, err := fmt.Sscanf(strings.TrimSpace(string(b[:k])), "%d", &n); err != nil {
		return 0
	}
	return n
}

func (d *leaseDir) setCounter(n uint32) error {
	if _, err := fmt.Fprintf(&at{d.next}, "%10d\n", n); err != nil {
		return fmt.Errorf("write the address counter: %w", err)
	}
	return nil
}

// at writes at the beginning of a file.
type at struct{ f *os.File }

func (a *at) Write(b []byte) (int, error) { return a.f.WriteAt(b, 0) }

func (d *leaseDir) close() error { return d.next.Close() }
