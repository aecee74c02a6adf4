package live

import (
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/network/rtnl"
)

// A route that a Hull has left is seen, of either family. Both lie in ranges that are for documentation.
func TestRoutesAreLeaks(t *testing.T) {
	hulltest.NeedRoot(t)
	dir := t.TempDir()
	h := &Hull{CLI: CLI{Root: filepath.Join(dir, "root"), State: filepath.Join(dir, "state"), t: t}}
	metric, err := strconv.ParseUint(h.Instance(), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	c, err := rtnl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if left := h.Leaks(); len(left) > 0 {
		t.Errorf("%q before there is anything", left)
	}
	for dst, want := range map[string]string{"203.0.113.240/28": "F07100CB", "2001:db8:ffff::/48": "20010db8ffff"} {
		p := netip.MustParsePrefix(dst)
		if err := c.Do(rtnl.Unreachable(unix.RTM_NEWROUTE, p, uint32(metric))); err != nil {
			t.Fatal(err)
		}
		left := h.Leaks()
		if err := c.Do(rtnl.Unreachable(unix.RTM_DELROUTE, p, uint32(metric))); err != nil {
			t.Fatal(err)
		}
		if len(left) != 1 || !strings.HasPrefix(left[0], "route ") || !strings.Contains(left[0], want) {
			t.Errorf("%s: leaks %q, want one with %s", dst, left, want)
		}
	}
}
