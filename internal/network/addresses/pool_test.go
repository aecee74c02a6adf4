package addresses

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestPoolGoesRound(t *testing.T) {
	p, err := New(netip.MustParsePrefix("10.89.7.0/29"), netip.MustParsePrefix("fd00::/64"), 0)
	if err != nil {
		t.Fatal(err)
	}
	take := func() string {
		n, err := p.Take()
		if err != nil {
			t.Fatal(err)
		}
		return p.Of(n)[0].String()
	}
	put := func(s string) { p.Put([]netip.Addr{netip.MustParseAddr(s)}) }
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
	if _, err := p.Take(); !errdefs.IsResourceExhausted(err) || !strings.Contains(err.Error(), "all 5 of pool 10.89.7.0/29 are taken") {
		t.Errorf("a full pool: %v", err)
	}
	put("10.89.8.2") // another pool's
	if _, err := p.Take(); err == nil {
		t.Error("another pool's address was taken for ours")
	}
	p.Put([]netip.Addr{netip.MustParseAddr("fd00::4")})
	if got := take(); got != "10.89.7.4" {
		t.Errorf("after fd00::4 was given back: %s", got)
	}
}

func TestPoolsThatCannotBe(t *testing.T) {
	v4, v6 := netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("fd00::/64")
	for _, tc := range [][2]netip.Prefix{
		{v6, v6}, {v4, v4}, {netip.MustParsePrefix("10.0.0.0/30"), v6}, {v4, netip.MustParsePrefix("fd00::/121")}, {{}, v6},
	} {
		if _, err := New(tc[0], tc[1], 0); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s and %s: %v", tc[0], tc[1], err)
		}
	}
	p, err := New(netip.MustParsePrefix("10.0.3.7/16"), netip.Prefix{}, 99)
	if err != nil || p.V4 != v4 {
		t.Fatalf("%v, %v", p, err)
	}
	if n, err := p.Take(); err != nil || n != 99 || len(p.Of(n)) != 1 {
		t.Errorf("take %d, %v", n, err)
	}
}
