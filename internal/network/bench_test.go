package network

import (
	"os"
	"sync"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
)

func BenchmarkAttach(b *testing.B) {
	hulltest.NeedRoot(b)
	n := open(b, testConfig(b))
	var nss []*os.File
	for range b.N {
		nss = append(nss, netns(b))
	}
	b.ResetTimer()
	for i := range b.N {
		if _, err := n.Attach(b.Context(), Request{ID: newID(b), Netns: nss[i]}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAttachHundredAtOnce(b *testing.B) {
	hulltest.NeedRoot(b)
	for range b.N {
		b.StopTimer()
		n := open(b, testConfig(b))
		var nss []*os.File
		for range 100 {
			nss = append(nss, netns(b))
		}
		b.StartTimer()
		var wg sync.WaitGroup
		for _, ns := range nss {
			wg.Go(func() {
				if _, err := n.Attach(b.Context(), Request{ID: newID(b), Netns: ns}); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
}
