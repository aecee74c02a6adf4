package crash

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestEndedWhileStarting ends hulld as its update does, in good order, while Pods start: what was given up before it ran is no restart.
func TestEndedWhileStarting(t *testing.T) {
	h := start(t)
	random := seedOf(t)
	descriptors := h.KeeperDescriptors()
	const pods = 20
	name := func(i int) string { return fmt.Sprintf("pod%d", i) }
	var work sync.WaitGroup
	for i := range pods {
		work.Go(func() { h.create(small(name(i))) })
	}
	for range 5 {
		<-time.After(time.Duration(random.IntN(100)) * time.Millisecond) // the moment is what is random
		pid := h.Daemon()
		if pid != 0 {
			_ = unix.Kill(pid, unix.SIGTERM)
		}
		if err := h.Revive(h.ctx, pid); err != nil {
			t.Fatal(err)
		}
	}
	work.Wait()
	for i := range pods {
		p := h.await(name(i), "its containers to run", func(p *pod) bool { return p != nil && p.running("c", "d") })
		for _, c := range []string{"c", "d"} {
			if s := p.container(c); s.RestartCount != 0 {
				t.Errorf("%s of %s ran for the first time, and has %d restarts: %+v", c, name(i), s.RestartCount, s.LastState.Terminated)
			}
		}
	}
	for i := range pods {
		work.Go(func() { h.remove(name(i), 1) })
	}
	work.Wait()
	h.clean(descriptors)
}
