package hulltest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
)

// Pool is a range for Pods' addresses that nobody has on this machine: a Hull that lives has a route of its range, also one of
// another package's test.
func Pool(t testing.TB) netip.Prefix {
	t.Helper()
	for {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(128 + rand.IntN(100)), byte(rand.IntN(256)), 0}), 24)
		if !routed(t, p) {
			return p
		}
	}
}

// routed tells whether a route leads into a range, or overlaps it, besides that to everywhere.
func routed(t testing.TB, p netip.Prefix) bool {
	t.Helper()
	f, err := os.Open("/proc/thread-self/net/route")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var dev string
		var to, gateway, flags, used, metric, mask uint32
		n, _ := fmt.Sscanf(lines.Text(), "%s %x %x %x %d %d %d %x", &dev, &to, &gateway, &flags, &used, &used, &metric, &mask)
		if n < 8 || mask == 0 {
			continue // the heading, and the default route
		}
		if r := route(to, mask); r.Overlaps(p) {
			return true
		}
	}
	return false
}

// route is a range as the kernel writes it: in the order of the network's bytes, read as this machine's.
func route(to, mask uint32) netip.Prefix {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], mask)
	bits := 0
	for m := binary.BigEndian.Uint32(b[:]); m != 0; m <<= 1 {
		bits++
	}
	binary.NativeEndian.PutUint32(b[:], to)
	return netip.PrefixFrom(netip.AddrFrom4(b), bits)
}
