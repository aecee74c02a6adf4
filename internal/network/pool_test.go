package network

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/network/addresses"
)

func TestDefaultPools(t *testing.T) {
	a, b := addresses.DefaultIPv6("00000001"), addresses.DefaultIPv6("00000002")
	if a == b || a.Bits() != 64 || !netip.MustParsePrefix("fd00::/8").Contains(a.Addr()) {
		t.Errorf("%s and %s", a, b)
	}
	cfg := testConfig(t)
	cfg.IPv4 = netip.Prefix{}
	n := open(t, cfg)
	first := n.pool.V4
	if !slices.Contains(addresses.DefaultIPv4(), first) {
		t.Errorf("chose %s", first)
	}
	other := testConfig(t)
	other.IPv4 = netip.Prefix{}
	m := open(t, other)
	if m.pool.V4.Overlaps(first) {
		t.Errorf("two instances chose %s and %s", first, m.pool.V4)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = open(t, cfg)
	if n.pool.V4 != first {
		t.Errorf("chose %s, and %s after a restart", first, n.pool.V4)
	}
}

func TestLeaseLog(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "leases.log")
	open := func() *leaseLog {
		t.Helper()
		d, err := openLeaseLog(dir, discard)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.close() })
		return d
	}
	d := open()
	a, b := goldenLease(), &lease{ID: newID(t), Interface: "hull"}
	for i, l := range []*lease{a, b} {
		if err := d.save(l, uint32(7+i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(d.remove(b.ID), d.remove(b.ID), d.remove("never there")); err != nil {
		t.Fatal(err)
	}
	check := func(d *leaseLog, next uint32) {
		t.Helper()
		got := d.leases[a.ID]
		if len(d.leases) != 1 || got == nil || !reflect.DeepEqual(got, a) || d.next != next {
			t.Errorf("leases %+v, next %d; want %+v, %d", d.leases, d.next, a, next)
		}
	}
	check(d, 8)
	d = open()
	check(d, 8)
	if lines, _ := os.ReadFile(path); strings.Count(string(lines), "\n") != 2 {
		t.Errorf("the log was not written anew:\n%s", lines)
	}

	for range rewriteAfter {
		if err := errors.Join(d.save(b, 9), d.remove(b.ID)); err != nil {
			t.Fatal(err)
		}
	}
	if d.lines > rewriteAfter+10 {
		t.Errorf("the log has grown to %d lines", d.lines)
	}
	d = open()
	check(d, 9)

	grow := func(text string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(string(b)+text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	grow("nonsense\n" + `{"version":1,"lease":{"id":"../../etc"}}` + "\n" + `{"version":1,"lease":{"id":"` + b.ID)
	check(open(), 9)
	grow(`{"version":2}` + "\n")
	if _, err := openLeaseLog(dir, discard); !errdefs.IsFailedPrecondition(err) {
		t.Errorf("a version that is not known: %v", err)
	}
}

// A full disk fails the Pod and spoils nothing.
func TestLeaseLogOnAFullDisk(t *testing.T) {
	d, err := openLeaseLog(t.TempDir(), discard)
	if err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	good := d.file
	d.file = full
	if err := d.save(goldenLease(), 3); !errors.Is(err, unix.ENOSPC) || len(d.leases) != 0 {
		t.Errorf("error %v, leases %v", err, d.leases)
	}
	d.file = good
	if err := errors.Join(d.save(goldenLease(), 3), d.close(), full.Close()); err != nil {
		t.Error(err)
	}
}

// A Hull with Pods starts on a full disk too.
func TestLeaseLogOpensOnAFullDisk(t *testing.T) {
	hulltest.NeedRoot(t)
	dir := t.TempDir()
	if err := unix.Mount("hulltest", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	open := func() *leaseLog {
		t.Helper()
		d, err := openLeaseLog(dir, discard)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.close() })
		return d
	}
	if d := open(); len(d.leases) != 0 {
		t.Fatalf("leases %v", d.leases)
	}
	path := filepath.Join(dir, "leases.log")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err == nil {
		err = json.NewEncoder(f).Encode(record{Version: leaseVersion, Lease: goldenLease(), Next: 3})
	}
	if err == nil {
		_, err = f.WriteString(`{"version":1,"lease":{"id":"`)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 128<<10), 0o600); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	d := open()
	if len(d.leases) != 1 || d.next != 3 {
		t.Errorf("leases %v, next %d", d.leases, d.next)
	}
	// What the last page has room for is written behind the last whole line.
	if err := d.remove(goldenLease().ID); err != nil {
		t.Error(err)
	}
	if d := open(); len(d.leases) != 0 || d.next != 3 {
		t.Errorf("leases %v, next %d", d.leases, d.next)
	}
}

func TestNames(t *testing.T) {
	names := hostNames("1a2b3c4d", goldenID)
	if len(names) != 4 || names[0] != "hull1a2b9f86d08" {
		t.Errorf("names %v", names)
	}
	for _, name := range names {
		if len(name) > 15 {
			t.Errorf("%s is too long", name)
		}
	}
	ips := []netip.Addr{netip.MustParseAddr("10.88.0.5"), netip.MustParseAddr("fd00::5")}
	s := alias("1a2b3c4d", goldenID, ips...)
	id, got, ok := parseAlias("1a2b3c4d", s)
	if !ok || id != goldenID || !slices.Equal(got, ips) {
		t.Errorf("%q read as %s %v %v", s, id, got, ok)
	}
	for _, other := range []string{"", "hull", "hull 99999999 " + goldenID, "hull 1a2b3c4d nonsense", s + " x"} {
		if _, _, ok := parseAlias("1a2b3c4d", other); ok {
			t.Errorf("%q was taken", other)
		}
	}
	for _, bad := range []string{"", "00000000", "1a2b3c4", "1a2b3c4d5", "1a2b3c4x"} {
		if _, err := group(bad); !errdefs.IsInvalidArgument(err) {
			t.Errorf("instance %q: %v", bad, err)
		}
	}
}
