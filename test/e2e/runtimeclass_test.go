package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/hulltest/live"
)

const byRunc = `apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  runtimeClassName: %s
  terminationGracePeriodSeconds: 5
  securityContext:
    seccompProfile: {type: Unconfined}
  volumes:
  - name: shared
    emptyDir: {}
  initContainers:
  - name: first
    image: localhost/hull/toolbox
    command: [sh, -c, "echo from first > /shared/word"]
    volumeMounts: [{name: shared, mountPath: /shared}]
  containers:
  - name: one
    image: localhost/hull/toolbox
    command: [sh, -c, "cat /shared/word; trap 'exit 0' TERM; while true; do sleep 0.1; done"]
    volumeMounts: [{name: shared, mountPath: /shared}]
  - name: two
    image: localhost/hull/toolbox
    command: [sleep, infinity]
    resources: {limits: {memory: 64Mi}}
`

// TestRuntimeClass: an OCI runtime makes a Pod's containers from the same spec, in the same sandbox, and outlives hulld as others do.
func TestRuntimeClass(t *testing.T) {
	t.Parallel()
	hulltest.NeedRoot(t)
	runc := hulltest.Runc(t)
	h := live.Start(t, live.Pool(), live.Flags("--runtime", "runc="+runc))
	manifest := filepath.Join(t.TempDir(), "pod.yaml")
	if err := os.WriteFile(manifest, fmt.Appendf(nil, byRunc, "web", "runc"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Must("run", "-d", manifest)
	in := inspect(t, h, "web")
	sharesSandbox(t, in)
	state := filepath.Join(h.State, "runtimes", "runc")
	for _, name := range []string{"one", "two"} {
		if _, err := os.Stat(filepath.Join(state, in.running(t, name).ID, "state.json")); err != nil {
			t.Errorf("runc does not know container %s: %v", name, err)
		}
	}

	if err := h.Revive(t.Context(), h.Kill()); err != nil {
		t.Fatal(err)
	}
	if again := inspect(t, h, "web"); again.running(t, "one").PID != in.running(t, "one").PID {
		t.Errorf("container one is process %d now, and was %d", again.running(t, "one").PID, in.running(t, "one").PID)
	}
	if got := h.Must("exec", "web", "-c", "one", "--", "cat", "/shared/word"); got != "from first\n" {
		t.Errorf("exec says %q", got)
	}
	if got := h.Must("logs", "web", "-c", "one"); got != "from first\n" {
		t.Errorf("the log says %q", got)
	}
	if got := h.Must("describe", "pod", "web"); !strings.Contains(got, "Runtime Class Name:  runc\n") {
		t.Errorf("describe does not name the class: %s", got)
	}
	h.Must("delete", "pod", "web")
	left, err := os.ReadDir(state)
	if err != nil || len(left) != 0 {
		t.Errorf("runc still knows of %v, %v", left, err)
	}
}

func TestNoSuchRuntimeClass(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	r := h.RunInput(fmt.Sprintf(byRunc, "web", "kata"), "apply", "-f", "-")
	want := `The Pod "web" is invalid: spec.runtimeClassName: Forbidden: RuntimeClass "kata" not found: hulld knows those of its --runtime NAME=PROGRAM`
	if r.Code != 1 || !strings.Contains(r.Stderr, want) {
		t.Errorf("exit code %d: %s", r.Code, r.Stderr)
	}
}
