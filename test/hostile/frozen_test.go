package hostile

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hull-pods/hull/internal/hulltest/live"
)

// TestFrozen: a container that may write its own cgroups freezes itself, in which state v1 keeps SIGKILL from it. It keeps neither hulld
// from starting nor its Pod from being removed.
func TestFrozen(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/sys/fs/cgroup/freezer"); err != nil {
		t.Skip("this host has no freezer of cgroup v1")
	}
	h := live.Start(t, live.Pool())
	start(t, h, pod("p", toolbox, `,"securityContext":{"privileged":true},"command":["sleep","infinity"]`))
	groups, err := filepath.Glob("/sys/fs/cgroup/freezer/hull-" + h.Instance() + "/besteffort/pod*/*/freezer.state")
	if err != nil || len(groups) != 1 {
		t.Fatalf("the container's group: %v, %v", groups, err)
	}
	state := groups[0]
	guard := time.AfterFunc(time.Minute, func() { _ = os.WriteFile(state, []byte("THAWED"), 0) }) // or the test's own end would hang
	defer guard.Stop()

	// The command that freezes it is frozen with it.
	session := h.Command("exec", "p", "--", "sh", "-c", "echo FROZEN > /sys/fs/cgroup/freezer/freezer.state")
	if err := session.Start(); err != nil {
		t.Fatal(err)
	}
	for s := ""; s != "FROZEN\n"; {
		data, err := os.ReadFile(state)
		if err != nil {
			t.Fatal(err)
		}
		s = string(data)
	}
	if err := h.Revive(t.Context(), h.Kill()); err != nil {
		t.Errorf("hulld does not come back: %v", err)
	}
	_ = session.Wait()
	// What hulld ended at its start was the session; for that the container was thawed.
	if err := os.WriteFile(state, []byte("FROZEN"), 0); err != nil {
		t.Fatal(err)
	}
	h.Must("delete", "pod", "p", "--now")
	if !guard.Stop() {
		t.Error("it was frozen until the test let it go")
	}
}
