package pod

import (
	"slices"
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

// TestNetworkBlocked: who begins is told what drops its traffic, all that begin together from one look at the host's rules.
func TestNetworkBlocked(t *testing.T) {
	inBubble(t, func(b *bench) {
		looks := 0
		b.blocked = func() ([]string, error) {
			looks++
			return []string{"table ip fw drops what Pods send: accept it"}, nil
		}
		b.create(podOf("a", v1.RestartPolicyAlways))
		other := podOf("b", v1.RestartPolicyAlways)
		other.Name = "q"
		b.create(other)
		onHost := podOf("c", v1.RestartPolicyAlways)
		onHost.Name, onHost.Spec.HostNetwork = "r", true
		b.create(onHost)
		b.pass(60)
		const told = "Warning NetworkBlocked: table ip fw drops what Pods send: accept it"
		b.wantTold(told)
		if n := len(slices.DeleteFunc(b.told(), func(e string) bool { return e != told })); n != 2 || looks != 1 {
			t.Errorf("told %d times after %d looks, want two Pods after one", n, looks)
		}
	})
}
