package network

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
)

// BenchmarkAttach and BenchmarkAttachAmongThousand should cost the same, as should BenchmarkDetach and its like. Each tells the CPU
// time of the process beside the time that passes: a Pod's start has more of the latter to share than of the former.
func BenchmarkAttach(b *testing.B)              { benchmark(b, 0, true) }
func BenchmarkAttachAmongThousand(b *testing.B) { benchmark(b, 1000, true) }
func BenchmarkDetach(b *testing.B)              { benchmark(b, 0, false) }
func BenchmarkDetachAmongThousand(b *testing.B) { benchmark(b, 1000, false) }

type cpu struct{ user, system time.Duration }

func cpuTime(b *testing.B) cpu {
	b.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return cpu{time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano())}
}

func benchmark(b *testing.B, others int, attaching bool) {
	hulltest.NeedRoot(b)
	cfg := testConfig(b)
	cfg.IPv4 = netip.PrefixFrom(cfg.IPv4.Addr(), 20).Masked()
	n := open(b, cfg)
	n.grace = defaultGrace
	var used cpu
	// timed counts one step if it is the one that is measured.
	timed := func(this bool, step func() error) {
		if this {
			before := cpuTime(b)
			b.StartTimer()
			defer func() {
				b.StopTimer()
				after := cpuTime(b)
				used.user += after.user - before.user
				used.system += after.system - before.system
			}()
		}
		if err := step(); err != nil {
			b.Fatal(err)
		}
	}
	attach := func(measured bool) (string, *os.File) {
		ns, id := hulltest.Netns(b), newID(b)
		timed(measured, func() error {
			_, err := n.Attach(b.Context(), Request{ID: id, Netns: ns})
			return err
		})
		return id, ns
	}
	for range others {
		attach(false)
	}
	b.ResetTimer()
	b.StopTimer()
	for range b.N {
		id, ns := attach(attaching)
		_ = ns.Close()
		timed(!attaching, func() error { return n.Detach(b.Context(), id) })
	}
	b.ReportMetric(float64(used.user.Microseconds())/float64(b.N), "user-µs/op")
	b.ReportMetric(float64(used.system.Microseconds())/float64(b.N), "system-µs/op")
}
