package starter

import (
	"os"
	"testing"
)

// TestHullInitIsOutOfTheWay: a clone puts descriptors in place from 0 on, and others aside right above the null device.
func TestHullInitIsOutOfTheWay(t *testing.T) {
	var n Native
	if err := n.openFiles(); err != nil {
		t.Fatal(err)
	}
	defer closeFiles([]*os.File{n.init, n.null})
	if init, null := n.init.Fd(), n.null.Fd(); init < cloneFiles || null <= init {
		t.Errorf("hull-init is %d, the null device %d", init, null)
	}
}
