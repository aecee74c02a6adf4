package runtime

import (
	"testing"

	"github.com/hull-pods/hull/internal/failpoint"
)

// TestCreatedInTheMaking creates a container in a sandbox that is being made: it is there with the sandbox, and nothing of it is if
// the sandbox is not.
func TestCreatedInTheMaking(t *testing.T) {
	if !underKeeper(t) {
		return
	}
	w := newWorld(t)
	for _, fail := range []string{"", "runtime.sandbox.files=error", "runtime.sandbox.ready=error"} {
		must(t, failpoint.Set(fail))
		done := make(chan error, 1)
		st, err := w.RunSandbox(t.Context(), SandboxConfig{
			Owner: OwnerAPI, Namespace: "ns", Name: "pod", UID: "uid", CgroupParent: "poduid", LogDirectory: t.TempDir(), Hostname: "pod",
		}, func(id string) {
			go func() {
				_, err := w.CreateContainer(t.Context(), id, w.sleeper())
				done <- err
			}()
		})
		created := <-done
		must(t, failpoint.Set(""))
		if failed := fail != ""; (err != nil) != failed || (created != nil) != failed {
			t.Fatalf("%q: sandbox: %v; container: %v", fail, err, created)
		}
		if fail != "" {
			if left, err := w.Leftovers(t.Context()); len(w.all.allSandboxes())+len(w.all.allContainers())+len(left) > 0 || err != nil {
				t.Errorf("%q: left: %v, %v", fail, left, err)
			}
			continue
		}
		list := w.Containers(st.ID)
		if len(list) != 1 {
			t.Fatalf("containers %v", list)
		}
		must(t, w.StartContainer(t.Context(), list[0].ID, Turn{}))
		must(t, w.RemoveSandbox(t.Context(), st.ID))
	}
}
