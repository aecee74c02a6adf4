package hulltest_test

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
)

// TestPoolIsFree: what has a route is never chosen.
func TestPoolIsFree(t *testing.T) {
	hulltest.NeedRoot(t)
	err := linux.InNetns(hulltest.Netns(t), func() error {
		for _, taken := range []string{"10.128.0.0/10", "10.192.0.0/11", "10.226.0.0/15"} {
			dst, err := netlink.ParseIPNet(taken)
			if err != nil {
				return err
			}
			if err := netlink.RouteAdd(&netlink.Route{Dst: dst, Type: unix.RTN_UNREACHABLE, Priority: 7}); err != nil {
				return err
			}
		}
		for range 20 {
			if p := hulltest.Pool(t); !netip.MustParsePrefix("10.224.0.0/15").Overlaps(p) {
				t.Errorf("%s has a route", p)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
