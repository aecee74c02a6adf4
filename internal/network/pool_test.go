package network

import (
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
)

func TestPoolGoesRound(t *testing.T) {
	p, err := newPool(netip.MustParsePrefix("10.89.7.0/29"), netip.MustParsePrefix("fd00::/64"), 0)
	if err != nil {
		t.Fatal(err)
	}
	take := func() string {
		n, err := p.take()
		if err != nil {
			t.Fatal(err)
		}
		return p.addresses(n)[0].String()
	}
	put := func(s string) { p.put([]netip.Addr{netip.MustParseAddr(s)}) }
	first := []string{take(), take()}
	put("10.89.7.2")
	if got := take(); got == "10.89.7.2" {
		t.Error("an address was given again at once")
	}
	rest := []string{take(), take()}
	if want := []string{"10.89.7.2", "10.89.7.3", "10.89.7.5", "10.89.7.6"}; !slices.Equal(append(first, rest...), want) {
		t.Errorf("gave %v, want %v", append(first, rest...), want)
	}
	if got := take(); got != "10.89.7.2" {
		t.Errorf("the round ends with %s, want what was given back", got)
	}
	if _, err := p.take(); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "all 5 of pool 10.89.7.0/29 are taken") {
		t.Errorf("a full pool: %v", err)
	}
	put("10.89.8.2") // another pool's
	if _, err := p.take(); err == nil {
		t.Error("another pool's address was taken for ours")
	}
	p.put([]netip.Addr{netip.MustParseAddr("fd00::4")})
	if got := take(); got != "10.89.7.4" {
		t.Errorf("after fd00::4 was given back: %s", got)
	}
}

func TestPoolsThatCannotBe(t *testing.T) {
	v4, v6 := netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("fd00::/64")
	for _, tc := range [][2]netip.Prefix{
		{v6, v6}, {v4, v4}, {netip.MustParsePrefix("10.0.0.0/30"), v6}, {v4, netip.MustParsePrefix("fd00::/121")}, {{}, v6},
	} {
		if _, err := newPool(tc[0], tc[1], 0); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s and %s: %v", tc[0], tc[1], err)
		}
	}
	p, err := newPool(netip.MustParsePrefix("10.0.3.7/16"), netip.Prefix{}, 99)
	if err != nil || p.v4 != v4 {
		t.Fatalf("%v, %v", p, err)
	}
	if n, err := p.take(); err != nil || n != 99 || len(p.addresses(n)) != 1 {
		t.Errorf("take %d, %v", n, err)
	}
}

func TestDefaultPools(t *testing.T) {
	a, b := defaultIPv6("00000001"), defaultIPv6("00000002")
	if a == b || a.Bits() != 64 || !netip.MustParsePrefix("fd00::/8").Contains(a.Addr()) {
		t.Errorf("%s and %s", a, b)
	}
	cfg := testConfig(t)
	cfg.IPv4 = netip.Prefix{}
	n := open(t, cfg)
	first := n.pool.v4
	if !slices.Contains(defaultIPv4(), first) {
		t.Errorf("chose %s", first)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	other := testConfig(t)
	other.IPv4 = netip.Prefix{}
	m := open(t, other)
	if m.pool.v4.Overlaps(first) {
		t.Errorf("two instances chose %s and %s", first, m.pool.v4)
	}
	n = open(t, cfg)
	if n.pool.v4 != first {
		t.Errorf("chose %s, and %s after a restart", first, n.pool.v4)
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
