package crash

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// keeperKills is how often TestKeeperKilledWhileStopping kills the keeper.
const keeperKills = 6

// TestKeeperKilledWhileStopping: hulld waits for nothing that only the dead keeper could have told. It ends, and the next one removes what
// this one had begun to.
func TestKeeperKilledWhileStopping(t *testing.T) {
	h := start(t)
	random := seedOf(t)
	descriptors := h.KeeperDescriptors()
	for range keeperKills {
		for i := range 8 {
			h.create(small(fmt.Sprintf("stops%d", i)))
		}
		for i := range 8 {
			h.await(fmt.Sprintf("stops%d", i), "its containers to run", func(p *pod) bool { return p != nil && p.running("c", "d") })
		}
		for i := range 8 {
			h.delete(fmt.Sprintf("stops%d", i), i%2)
		}
		<-time.After(time.Duration(random.IntN(20000)) * time.Microsecond) // the moment is what is random
		h.KillKeeper()
		h.Up()
		var work sync.WaitGroup
		for i := range 8 {
			work.Go(func() { h.remove(fmt.Sprintf("stops%d", i), 1) })
		}
		work.Wait()
	}
	h.clean(descriptors)
}
