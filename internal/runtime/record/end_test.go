package record

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestExit(t *testing.T) {
	for _, c := range []struct {
		status       int // as wait(2) says it
		oom          bool
		code, signal int
		reason       string
	}{
		{0 << 8, false, 0, 0, ReasonCompleted},
		{3 << 8, false, 3, 0, ReasonError},
		{255 << 8, false, 255, 0, ReasonError},
		{9, false, 137, 9, ReasonError},
		{9, true, 137, 9, ReasonOOMKilled},
		{15, false, 143, 15, ReasonError},
		{11 | 0x80, false, 139, 11, ReasonError}, // with a core
		{1 << 8, true, 1, 0, ReasonOOMKilled},    // a child was killed, and the first process said so
	} {
		code, signal := ExitCode(unix.WaitStatus(c.status))
		if reason := exitReason(code, c.oom); code != c.code || signal != c.signal || reason != c.reason {
			t.Errorf("%#x, oom %t: %d, %d, %s; want %d, %d, %s", c.status, c.oom, code, signal, reason, c.code, c.signal, c.reason)
		}
	}
}
