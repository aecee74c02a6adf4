package crash

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// whileDead kills hulld, does something before the keeper can start the next one, and returns when that serves.
func (h *hull) whileDead(do func()) {
	h.t.Helper()
	if err := h.Revive(h.ctx, h.deadDo(do)); err != nil {
		h.t.Fatalf("hulld does not come back: %v\n%s", err, h.Log())
	}
}

// deadDo kills hulld, does something, and has the keeper go on. It returns the PID that hulld had.
func (h *hull) deadDo(do func()) (dead int) {
	h.t.Helper()
	keeper, dead := h.Keeper(), h.Daemon()
	if err := unix.Kill(keeper, unix.SIGSTOP); err != nil {
		h.t.Fatal(err)
	}
	h.shoot(dead)
	do()
	if err := unix.Kill(keeper, unix.SIGCONT); err != nil {
		h.t.Fatal(err)
	}
	return dead
}

// TestBrokenRecords: half a record of one Pod is as none. What it was of is killed, its Pod goes on as its policy says, and the other
// Pods run as if nothing had been.
func TestBrokenRecords(t *testing.T) {
	h := start(t)
	descriptors := h.KeeperDescriptors()
	for _, name := range []string{"whole", "sandbox", "container"} {
		h.create(workers(name, "Always"))
	}
	h.create(workers("never", "Never"))
	before := map[string]inspected{}
	for _, name := range []string{"whole", "sandbox", "container", "never"} {
		h.began(name)
		before[name] = h.inspect(name)
	}
	// That a container runs is on disk with whatever is answered after that.
	h.create(small("later"))
	whole := h.born(before["whole"].pid(t, "c"))
	infra := h.born(before["container"].Infra.PID)
	h.whileDead(func() {
		halve(t, filepath.Join(h.State, "sandboxes", before["sandbox"].ID, "sandbox.json"))
		halve(t, filepath.Join(h.State, "sandboxes", before["never"].ID, "sandbox.json"))
		halve(t, filepath.Join(h.State, "containers", before["container"].id(t, "c"), "container.json"))
	})
	for _, name := range []string{"sandbox", "container"} {
		p := h.await(name, "its container to run again", after(1))
		h.wantEnd(p.container("c").LastState, 137, "ContainerStatusUnknown")
	}
	p := h.await("never", "its end", func(p *pod) bool { return p != nil && p.Status.Phase == "Failed" })
	h.wantEnd(p.container("c").State, 137, "ContainerStatusUnknown")
	if now := h.born(h.inspect("container").Infra.PID); now != infra {
		t.Errorf("the sandbox of the container without a record was %s, and is %s", infra, now)
	}
	if now := h.born(h.inspect("whole").pid(t, "c")); now != whole {
		t.Errorf("the container of another Pod was %s, and is %s", whole, now)
	}
	for _, name := range []string{"whole", "sandbox", "container", "never", "later"} {
		h.remove(name, 0)
	}
	h.clean(descriptors)
}

// TestDamagedDatabase: hulld says which file is damaged and what to do, Pods run on meanwhile, and nothing is made up for what the file
// had in it.
func TestDamagedDatabase(t *testing.T) {
	h := start(t)
	descriptors := h.KeeperDescriptors()
	h.create(workers("runs", "Always"))
	h.began("runs")
	h.create(small("later")) // and so the first one's start is on disk
	was := h.born(h.inspect("runs").pid(t, "c"))
	for file, says := range map[string]string{
		"objects.db":                   "objects.db is damaged",
		"images/meta.db":               "meta.db is damaged",
		"images/snapshots/metadata.db": "metadata.db is damaged",
	} {
		path := filepath.Join(h.Root, file)
		var whole []byte
		dead := h.deadDo(func() {
			var err error
			if whole, err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
			halve(t, path)
		})
		if r := h.Run("get", "pods"); r.Code == 0 || !strings.Contains(r.Stderr, says) {
			t.Errorf("half of %s: exit code %d\n%s%s", file, r.Code, r.Stdout, r.Stderr)
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := h.Revive(h.ctx, dead); err != nil {
			t.Fatal(err)
		}
		if now := h.born(h.inspect("runs").pid(t, "c")); now != was {
			t.Errorf("half of %s: the container was %s, and is %s", file, was, now)
		}
	}
	h.remove("runs", 0)
	h.remove("later", 0)
	h.clean(descriptors)
}

// TestSocketRemoved: a hulld that nobody can reach any more is not told of as one that was started, and the way out is said.
func TestSocketRemoved(t *testing.T) {
	h := start(t)
	descriptors := h.KeeperDescriptors()
	h.create(workers("runs", "Always"))
	h.began("runs")
	was, pid := h.born(h.inspect("runs").pid(t, "c")), h.Daemon()
	if err := os.Remove(filepath.Join(h.State, "hull.sock")); err != nil {
		t.Fatal(err)
	}
	if r := h.Run("get", "pods"); r.Code == 0 || !strings.Contains(r.Stderr, fmt.Sprintf("has been removed: kill -9 %d,", pid)) || strings.Contains(r.Stderr, "started (") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	if err := h.Revive(h.ctx, h.Kill()); err != nil {
		t.Fatal(err)
	}
	// One that ends because it was told to has removed its socket itself: the next one is started.
	for range 5 {
		if err := unix.Kill(h.Daemon(), unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		h.Must("get", "pods")
	}
	if now := h.born(h.inspect("runs").pid(t, "c")); now != was {
		t.Errorf("the container was %s, and is %s", was, now)
	}
	h.remove("runs", 0)
	h.clean(descriptors)
}

// halve cuts a file off in the middle, as a disk may that had its power cut.
func halve(t *testing.T, path string) {
	t.Helper()
	st, err := os.Stat(path)
	if err == nil {
		err = os.Truncate(path, st.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (in inspected) id(t testing.TB, name string) string {
	t.Helper()
	for _, c := range in.Containers {
		if c.Name == name {
			return c.ID
		}
	}
	t.Fatalf("no container %s", name)
	return ""
}
