package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// waitForChild waits until a process has one that runs sleep: the kernel tells nobody, so it is looked for.
func waitForChild(t *testing.T, pid int) {
	t.Helper()
	for t.Context().Err() == nil {
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		for _, task := range tasks {
			b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
			for child := range strings.FieldsSeq(string(b)) {
				if cmd, _ := os.ReadFile("/proc/" + child + "/cmdline"); strings.HasPrefix(string(cmd), "sleep\x00") {
					return
				}
			}
		}
	}
}

// waitForHandlers waits until a process handles SIGTERM.
func waitForHandlers(t *testing.T, pid int) {
	t.Helper()
	for t.Context().Err() == nil {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), "SigCgt:\t")
		var mask uint64
		if _, err := fmt.Sscanf(rest, "%x", &mask); err != nil {
			t.Fatal(err)
		}
		if mask&(1<<(unix.SIGTERM-1)) != 0 {
			return
		}
	}
}
