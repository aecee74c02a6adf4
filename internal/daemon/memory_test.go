package daemon

import (
	"runtime"
	"testing"
)

func TestTellOfCollection(t *testing.T) {
	collected := make(chan struct{}, 1)
	tellOfCollection(collected)
	for range 3 { // each collection is told of, not the first alone
		runtime.GC()
		<-collected
	}
}
