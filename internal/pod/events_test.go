package pod

import (
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/runtime"
)

func TestLogStalled(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.create(podOf("a", v1.RestartPolicyAlways))
		b.pass(1)
		b.rt.mu.Lock()
		for _, c := range b.rt.containers {
			c.LogPath = "/logs/a/0.log"
			b.rt.events <- runtime.Event{Type: runtime.LogStalled, SandboxID: c.SandboxID, ContainerID: c.ID}
		}
		b.rt.mu.Unlock()
		b.pass(1)
		b.want("Running a=Running")
		b.wantTold("Warning LogStalled a: The container's output waits, as its log cannot be written: make room on the disk of /logs/a/0.log")
	})
}
