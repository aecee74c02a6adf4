package network

import (
	"net/netip"
	"os"
	"testing"
)

// BenchmarkAttach and BenchmarkAttachAmongThousand should cost the same.
func BenchmarkAttach(b *testing.B)              { benchmarkAttach(b, 0) }
func BenchmarkAttachAmongThousand(b *testing.B) { benchmarkAttach(b, 1000) }

func benchmarkAttach(b *testing.B, others int) {
	cfg := testConfig(b)
	cfg.IPv4 = netip.PrefixFrom(cfg.IPv4.Addr(), 20).Masked()
	n := open(b, cfg)
	one := func() (string, *os.File) {
		ns, id := netns(b), newID(b)
		if _, err := n.Attach(b.Context(), Request{ID: id, Netns: ns}); err != nil {
			b.Fatal(err)
		}
		return id, ns
	}
	for range others {
		one()
	}
	b.ResetTimer()
	for b.Loop() {
		b.StopTimer()
		ns, id := netns(b), newID(b)
		b.StartTimer()
		if _, err := n.Attach(b.Context(), Request{ID: id, Netns: ns}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		_ = ns.Close()
		if err := n.Detach(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
