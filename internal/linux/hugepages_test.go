package linux

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"
)

func TestSmallPages(t *testing.T) {
	must(t, smallPages())
	f, err := os.Open("/proc/self/smaps")
	must(t, err)
	defer func() { _ = f.Close() }()
	var here byte
	at := uintptr(unsafe.Pointer(&here))
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && inside {
			if !strings.Contains(flags, " nh") {
				t.Errorf("the heap's flags are %s, want nh", flags)
			}
			return
		}
	}
	t.Error("the heap is not in smaps")
}
