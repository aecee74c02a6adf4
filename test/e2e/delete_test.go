package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest/live"
)

// TestDeletedMeansRemoved looks the moment a deletion returns: nothing is left of the Pod, neither in the kernel nor on disk.
func TestDeletedMeansRemoved(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	for name, test := range map[string]struct{ command, image string }{
		"running":   {"sleep infinity", "localhost/hull/toolbox"},
		"succeeded": {"true", "localhost/hull/toolbox"},
		"failed":    {"false", "localhost/hull/toolbox"},
		"waiting":   {"true", "localhost:1/no/such"},
	} {
		manifest := `{apiVersion: v1, kind: Pod, metadata: {name: ` + name + `}, spec: {restartPolicy: Never, terminationGracePeriodSeconds: 1,
  volumes: [{name: disk, emptyDir: {}}, {name: memory, emptyDir: {medium: Memory}}],
  containers: [{name: main, image: "` + test.image + `", command: [sh, -c, '` + test.command + `'],
    volumeMounts: [{name: disk, mountPath: /disk}, {name: memory, mountPath: /memory}]}]}}`
		args := []string{"run", "-"}
		if name == "running" || name == "waiting" {
			args = []string{"run", "-d", "-"}
		}
		h.RunInput(manifest, args...)
		h.Must("get", "pod", name)
		h.Must("delete", "pod", name)
		// The kernel takes a network namespace's interfaces down in its own time.
		left := slices.DeleteFunc(h.Remains(), func(l string) bool { return strings.HasPrefix(l, "interface ") })
		if len(left) > 0 {
			t.Errorf("left of a Pod that was %s when its deletion returned:\n%s", name, strings.Join(left, "\n"))
		}
	}
}
