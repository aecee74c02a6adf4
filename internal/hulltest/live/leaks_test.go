package live

import (
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/network/rtnl"
)

// TestRoutesAreLeaks: a route that a Hull has left is seen, of either family. They are in a network namespace of the test's own: a
// Hull on this machine that is told to repair would remove them.
func TestRoutesAreLeaks(t *testing.T) {
	hulltest.NeedRoot(t)
	dir := t.TempDir()
	h := &Hull{CLI: CLI{Root: filepath.Join(dir, "root"), State: filepath.Join(dir, "state"), t: t}}
	metric, err := strconv.ParseUint(h.Instance(), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	ns := hulltest.Netns(t)
	c, err := rtnl.OpenAt(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	leaks := func() (left []string) {
		if err := linux.InNetns(ns, func() error { left = h.Leaks(); return nil }); err != nil {
			t.Error(err)
		}
		return left
	}
	if err := c.Do(rtnl.LoopbackUp()); err != nil { // where routes lead that lead nowhere
		t.Fatal(err)
	}
	if left := leaks(); len(left) > 0 {
		t.Errorf("%q before there is anything", left)
	}
	for dst, want := range map[string]string{"203.0.113.240/28": "F07100CB", "2001:db8:ffff::/48": "20010db8ffff"} {
		p := netip.MustParsePrefix(dst)
		if err := c.Do(rtnl.Unreachable(unix.RTM_NEWROUTE, p, uint32(metric))); err != nil {
			t.Fatal(err)
		}
		left := leaks()
		if err := c.Do(rtnl.Unreachable(unix.RTM_DELROUTE, p, uint32(metric))); err != nil {
			t.Fatal(err)
		}
		if len(left) != 1 || !strings.HasPrefix(left[0], "route ") || !strings.Contains(left[0], want) {
			t.Errorf("%s: leaks %q, want one with %s", dst, left, want)
		}
	}
}
