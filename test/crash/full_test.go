package crash

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/hulltest/live"
)

// startOnSmallState is a Hull whose state has a file system to itself, and fill fills that.
func startOnSmallState(t *testing.T) (h *hull, fill, free func()) {
	t.Helper()
	hulltest.NeedRoot(t)
	disk, err := os.MkdirTemp("", "hulldisk-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("hulldisk", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
		if err := os.Remove(disk); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	h = &hull{Hull: live.Start(t, live.Pool(), func(h *live.Hull) { h.State = filepath.Join(disk, "state") }), t: t, ctx: ctx}
	ballast := filepath.Join(disk, "ballast")
	fill = func() {
		t.Helper()
		if err := os.WriteFile(ballast, make([]byte, 8<<20), 0o600); err == nil {
			t.Fatal("8 MiB fit in 4")
		}
	}
	free = func() {
		t.Helper()
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
	return h, fill, free
}

// TestFullState: on a state directory that is full, what runs goes on, how it ends is not lost with hulld, hulld starts again, and Pods
// can be removed.
func TestFullState(t *testing.T) {
	h, fill, free := startOnSmallState(t)
	descriptors := h.KeeperDescriptors()
	dir := t.TempDir()
	h.create(fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"ends"},"spec":{"restartPolicy":"Never","terminationGracePeriodSeconds":1,
	"volumes":[{"name":"host","hostPath":{"path":%q}}],"containers":[
	{"name":"c","image":"localhost/hull/toolbox","volumeMounts":[{"name":"host","mountPath":"/host"}],"command":["sh","-c","until test -e /host/end; do sleep 0.01; done; exit 3"]},
	{"name":"stays","image":"localhost/hull/toolbox","command":["sleep","infinity"]}]}}`, dir))
	h.create(workers("goes", "Always"))
	h.await("ends", "its containers to run", func(p *pod) bool { return p != nil && p.running("c", "stays") })
	h.began("goes")
	was := h.born(h.inspect("goes").pid(t, "c"))
	fill()
	if err := os.WriteFile(filepath.Join(dir, "end"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := func(p *pod) bool { return p != nil && p.container("c").State.Terminated != nil }
	h.wantEnd(h.await("ends", "its container's end", ended).container("c").State, 3, "Error")
	if err := h.Revive(h.ctx, h.Kill()); err != nil {
		t.Fatalf("hulld does not come back: %v\n%s", err, h.Log())
	}
	if now := h.born(h.inspect("goes").pid(t, "c")); now != was {
		t.Errorf("the container was %s, and is %s", was, now)
	}
	h.wantEnd(h.await("ends", "its container's end", ended).container("c").State, 3, "Error")
	h.remove("ends", 0)
	fill()
	h.KillKeeper()
	h.Up()
	h.remove("goes", 0)
	free()
	h.create(workers("new", "Always"))
	h.began("new")
	h.remove("new", 0)
	h.clean(descriptors)
}
