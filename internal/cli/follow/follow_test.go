package follow

import (
	"bytes"
	"testing"

	"github.com/hull-pods/hull/internal/cli/apply"
	"github.com/hull-pods/hull/internal/cli/console"
	"github.com/hull-pods/hull/internal/cli/env"
	"github.com/hull-pods/hull/internal/cli/pod"
	"github.com/hull-pods/hull/internal/ui"
)

// TestSaidOnce plays two tries of an image that cannot be pulled, as its Pod's states and events tell of them.
func TestSaidOnce(t *testing.T) {
	var said bytes.Buffer
	r := &runner{Env: &env.Env{Console: console.Console{Err: &said}}, pods: map[string]*followed{}, bars: ui.NewBars(&said)}
	r.add(apply.Applied{Ref: pod.Ref{Namespace: "default", Name: "web"}, UID: "1"})
	p := r.pods["1"]
	state := func(reason, message string) {
		now := &pod.Pod{}
		now.Status.Phase = "Pending"
		now.Status.ContainerStatuses = make([]pod.ContainerStatus, 1)
		c := &now.Status.ContainerStatuses[0]
		c.Name = "main"
		c.State.Waiting = &struct{ Reason, Message string }{reason, message}
		r.say(p, now)
	}
	tell := func(field, reason, message string) {
		e := &event{Type: "Warning", Reason: reason, Message: message}
		e.InvolvedObject.FieldPath = field
		r.handleEvent(t.Context(), p, e)
	}
	const container = "spec.containers{main}"
	for range 2 {
		tell("", "FailedMount", "no such directory")
		tell(container, "Failed", `Failed to pull image "x": refused`)
		tell(container, "Failed", "Error: ErrImagePull")
		state("ErrImagePull", "refused")
		state("ImagePullBackOff", `Back-off pulling image "x": ErrImagePull: refused`)
		tell(container, "BackOff", `Back-off pulling image "x"`)
	}
	state("ErrImagePull", "not found")
	tell(container, "Unhealthy", "no answer")
	want := `pod/web: event FailedMount: no such directory
pod/web: Pending
pod/web: main: ErrImagePull: refused
pod/web: main: ImagePullBackOff: Back-off pulling image "x"
pod/web: main: ErrImagePull: not found
pod/web: event Unhealthy: no answer
`
	if said.String() != want {
		t.Errorf("it says\n%swant\n%s", said.String(), want)
	}
}
