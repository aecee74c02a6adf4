package daemon

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"
)

// garbagePercent is how much garbage there may be, in percent of what is alive, before it is collected. What a burst of Pods
// leaves alive lies scattered over all the memory that garbage filled meanwhile, which is then not given back: the less garbage,
// the less of that.
const garbagePercent = 40

// collectOften is for a hulld that serves; one that starts has better things to do. GOGC in the environment is its user's word.
func collectOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}

// quietFor is how long no garbage is collected when a burst of work is over.
const quietFor = time.Second

// giveBack gives the host back what a burst of work has left behind, until ctx ends. A hundred Pods that start leave twenty MB of
// garbage and of room for more, and the collector, which has nothing to do when nothing is allocated, would keep them for minutes.
// rest lets go of what is only there for those who come in the middle of a burst.
//
// It costs nothing while nothing happens: each collection of garbage, of which there is none without work, sets the clock.
func giveBack(ctx context.Context, rest func()) {
	collected := make(chan struct{}, 1)
	tellOfCollection(collected)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-collected:
			continue
		case <-time.After(quietFor):
		}
		rest()
		debug.FreeOSMemory()
		<-collected // that was our own
		select {
		case <-ctx.Done():
		case <-collected:
		}
	}
}

// tellOfCollection sends a word after each collection from now on, unless one waits to be read.
func tellOfCollection(to chan<- struct{}) {
	sentinel := new([16]byte) // too large for the allocator to share its block with others
	runtime.AddCleanup(sentinel, func(to chan<- struct{}) {
		tellOfCollection(to) // first: who hears of this one may wait for the next
		select {
		case to <- struct{}{}:
		default:
		}
	}, to)
}
