package status

import (
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hull-pods/hull/internal/pod/plan"
)

var t0 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func at(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }

// podOf makes a Pod from names; before a "|" stand init containers, of which a "+" ends a sidecar's.
func podOf(names string, policy v1.RestartPolicy) *v1.Pod {
	always := v1.ContainerRestartPolicyAlways
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", UID: "u", Generation: 1}}
	pod.Spec.RestartPolicy = policy
	init, regular, found := strings.Cut(names, "|")
	if !found {
		init, regular = "", names
	}
	for _, n := range strings.Fields(init) {
		c := v1.Container{Name: strings.TrimSuffix(n, "+"), Image: "img"}
		if strings.HasSuffix(n, "+") {
			c.RestartPolicy = &always
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	for _, n := range strings.Fields(regular) {
		pod.Spec.Containers = append(pod.Spec.Containers, v1.Container{Name: n, Image: "img"})
	}
	return pod
}

func sandbox() []plan.Sandbox {
	return []plan.Sandbox{{ID: "s0", Ready: true, IPs: []string{"fd00::2", "10.0.0.2"}}}
}

func ctr(name string, attempt uint32, state plan.State, exit int) plan.Container {
	reason := ""
	if state == plan.Exited {
		reason = map[bool]string{true: "Completed", false: "Error"}[exit == 0]
	}
	return plan.Container{ID: fmt.Sprint(name, attempt), SandboxID: "s0", Name: name, Attempt: attempt, State: state, ExitCode: exit, Reason: reason,
		CreatedAt: t0, StartedAt: at(1), FinishedAt: at(2), ImageName: "docker.io/library/img:latest", ImageRef: "docker.io/library/img@sha256:1"}
}

func state(s v1.ContainerState) string {
	switch {
	case s.Running != nil:
		return "Running"
	case s.Terminated != nil:
		return fmt.Sprintf("Terminated(%s %d)", s.Terminated.Reason, s.Terminated.ExitCode)
	case s.Waiting != nil:
		return fmt.Sprintf("Waiting(%s)", s.Waiting.Reason)
	}
	return "-"
}

// summary is a status on a few lines.
func summary(s v1.PodStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", s.Phase)
	if s.Reason != "" {
		fmt.Fprintf(&b, " %s: %s", s.Reason, s.Message)
	}
	for _, c := range append(append([]v1.ContainerStatus{}, s.InitContainerStatuses...), s.ContainerStatuses...) {
		fmt.Fprintf(&b, "\n%s %s", c.Name, state(c.State))
		if c.LastTerminationState != (v1.ContainerState{}) {
			fmt.Fprintf(&b, " last=%s", state(c.LastTerminationState))
		}
		if c.RestartCount > 0 {
			fmt.Fprintf(&b, " restarts=%d", c.RestartCount)
		}
		if c.Ready {
			b.WriteString(" ready")
		}
	}
	for _, c := range s.Conditions {
		if c.Type == v1.PodScheduled {
			continue
		}
		fmt.Fprintf(&b, "\n%s=%s", c.Type, c.Status)
		if c.Reason != "" {
			fmt.Fprintf(&b, " %s: %s", c.Reason, c.Message)
		}
	}
	return b.String()
}

func check(t *testing.T, s v1.PodStatus, want string) {
	t.Helper()
	want = strings.TrimSpace(strings.ReplaceAll(want, "\t", ""))
	if got := strings.ReplaceAll(summary(s), ": \n", "\n"); strings.TrimSuffix(got, ": ") != want {
		t.Errorf("status\n%s\n\nwant\n%s", got, want)
	}
}

// TestLife follows a Pod with an init container from its first moment to its end.
func TestLife(t *testing.T) {
	pod := podOf("i | b a", v1.RestartPolicyNever)
	seen := &plan.Seen{}
	step := func(sec int, want string) {
		t.Helper()
		pod.Status = Of(pod, seen, []string{"192.0.2.1"}, at(sec))
		check(t, pod.Status, want)
	}
	step(0, `Pending
		i Waiting(PodInitializing)
		a Waiting(PodInitializing)
		b Waiting(PodInitializing)
		PodReadyToStartContainers=False PodSandboxNotReady: no pod sandbox exists
		Initialized=False ContainersNotInitialized: containers with incomplete status: [i]
		Ready=False ContainersNotReady: containers with unready status: [b a]
		ContainersReady=False ContainersNotReady: containers with unready status: [b a]`)
	seen.Sandboxes = sandbox()
	seen.Containers = []plan.Container{ctr("i", 0, plan.Running, 0)}
	step(1, `Pending
		i Running
		a Waiting(PodInitializing)
		b Waiting(PodInitializing)
		PodReadyToStartContainers=True
		Initialized=False ContainersNotInitialized: containers with incomplete status: [i]
		Ready=False ContainersNotReady: containers with unready status: [b a]
		ContainersReady=False ContainersNotReady: containers with unready status: [b a]`)
	if pod.Status.PodIP != "10.0.0.2" || len(pod.Status.PodIPs) != 2 || pod.Status.HostIP != "192.0.2.1" {
		t.Errorf("addresses %v %v", pod.Status.PodIPs, pod.Status.HostIPs)
	}
	seen.Containers[0] = ctr("i", 0, plan.Exited, 0)
	seen.Containers = append([]plan.Container{ctr("a", 0, plan.Running, 0)}, seen.Containers...)
	seen.Waiting = map[string]plan.Waiting{"b": {Reason: "ErrImagePull", Message: "no such host"}}
	step(2, `Pending
		i Terminated(Completed 0) ready
		a Running ready
		b Waiting(ErrImagePull)
		PodReadyToStartContainers=True
		Initialized=True
		Ready=False ContainersNotReady: containers with unready status: [b]
		ContainersReady=False ContainersNotReady: containers with unready status: [b]`)
	seen.Waiting = nil
	seen.Containers = append([]plan.Container{ctr("b", 0, plan.Running, 0)}, seen.Containers...)
	step(3, `Running
		i Terminated(Completed 0) ready
		a Running ready
		b Running ready
		PodReadyToStartContainers=True
		Initialized=True
		Ready=True
		ContainersReady=True`)
	for i, want := range []int{1, 2, 3, 3, 0} { // when each condition became what it is
		if c := pod.Status.Conditions[i]; !c.LastTransitionTime.Time.Equal(at(want)) {
			t.Errorf("%s since %v, want second %d", c.Type, c.LastTransitionTime, want)
		}
	}
	if !pod.Status.StartTime.Time.Equal(at(0)) {
		t.Errorf("startTime %v", pod.Status.StartTime)
	}
	seen.Containers[0] = ctr("b", 0, plan.Exited, 0)
	seen.Containers[1] = ctr("a", 0, plan.Exited, 3)
	step(4, `Failed
		i Terminated(Completed 0) ready
		a Terminated(Error 3)
		b Terminated(Completed 0)
		PodReadyToStartContainers=True
		Initialized=True
		Ready=False PodFailed
		ContainersReady=False PodFailed`)
	seen.Sandboxes[0].Ready, seen.Sandboxes[0].Stopped = false, true
	step(5, `Failed
		i Terminated(Completed 0) ready
		a Terminated(Error 3)
		b Terminated(Completed 0)
		PodReadyToStartContainers=False PodSandboxNotReady: pod sandbox is not ready
		Initialized=True
		Ready=False PodFailed
		ContainersReady=False PodFailed`)
	if pod.Status.PodIP != "10.0.0.2" {
		t.Errorf("a Pod that ended lost its address: %v", pod.Status.PodIPs)
	}
}

func TestPhase(t *testing.T) {
	for _, tc := range []struct {
		name, pod string
		policy    v1.RestartPolicy
		seen      []plan.Container
		want      v1.PodPhase
	}{
		{"all succeeded, never", "a b", v1.RestartPolicyNever, []plan.Container{ctr("a", 0, plan.Exited, 0), ctr("b", 0, plan.Exited, 0)}, v1.PodSucceeded},
		{"one failed, never", "a b", v1.RestartPolicyNever, []plan.Container{ctr("a", 0, plan.Exited, 0), ctr("b", 0, plan.Exited, 2)}, v1.PodFailed},
		{"one failed, one runs", "a b", v1.RestartPolicyNever, []plan.Container{ctr("a", 0, plan.Running, 0), ctr("b", 0, plan.Exited, 2)}, v1.PodRunning},
		{"all succeeded, always", "a", v1.RestartPolicyAlways, []plan.Container{ctr("a", 0, plan.Exited, 0)}, v1.PodRunning},
		{"failed, on failure", "a", v1.RestartPolicyOnFailure, []plan.Container{ctr("a", 0, plan.Exited, 1)}, v1.PodRunning},
		{"succeeded, on failure", "a", v1.RestartPolicyOnFailure, []plan.Container{ctr("a", 0, plan.Exited, 0)}, v1.PodSucceeded},
		{"one is not there yet", "a b", v1.RestartPolicyAlways, []plan.Container{ctr("a", 0, plan.Running, 0)}, v1.PodPending},
		{"created only", "a", v1.RestartPolicyAlways, []plan.Container{ctr("a", 0, plan.Created, 0)}, v1.PodPending},
		{"init failed, never", "i | a", v1.RestartPolicyNever, []plan.Container{ctr("i", 0, plan.Exited, 1)}, v1.PodFailed},
		{"init failed, always", "i | a", v1.RestartPolicyAlways, []plan.Container{ctr("i", 0, plan.Exited, 1)}, v1.PodPending},
		{"init through", "i | a", v1.RestartPolicyAlways, []plan.Container{ctr("i", 0, plan.Exited, 0)}, v1.PodPending},
		{"sidecar up, container not", "s+ | a", v1.RestartPolicyAlways, []plan.Container{ctr("s", 0, plan.Running, 0)}, v1.PodPending},
		{"sidecar up, container too", "s+ | a", v1.RestartPolicyAlways, []plan.Container{ctr("a", 0, plan.Running, 0), ctr("s", 0, plan.Running, 0)}, v1.PodRunning},
		{"sidecar down, container up", "s+ | a", v1.RestartPolicyAlways, []plan.Container{ctr("a", 0, plan.Running, 0), ctr("s", 0, plan.Exited, 1)}, v1.PodRunning},
		{"containers done, sidecar still up", "s+ | a", v1.RestartPolicyNever, []plan.Container{ctr("a", 0, plan.Exited, 0), ctr("s", 0, plan.Running, 0)}, v1.PodRunning},
		{"containers done, sidecar killed", "s+ | a", v1.RestartPolicyNever, []plan.Container{ctr("a", 0, plan.Exited, 0), ctr("s", 0, plan.Exited, 143)}, v1.PodSucceeded},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := Of(podOf(tc.pod, tc.policy), &plan.Seen{Sandboxes: sandbox(), Containers: tc.seen}, nil, t0)
			if s.Phase != tc.want {
				t.Errorf("phase %s, want %s", s.Phase, tc.want)
			}
		})
	}
}

func TestRestarts(t *testing.T) {
	pod := podOf("a", v1.RestartPolicyAlways)
	seen := &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{ctr("a", 0, plan.Running, 0)}}
	const rest = `
		PodReadyToStartContainers=True
		Initialized=True
		Ready=%[1]s
		ContainersReady=%[1]s`
	up, down := fmt.Sprintf(rest, "True"), fmt.Sprintf(rest, "False ContainersNotReady: containers with unready status: [a]")
	step := func(want string) {
		t.Helper()
		pod.Status = Of(pod, seen, nil, t0)
		check(t, pod.Status, want)
	}
	step("Running\na Running ready" + up)
	seen.Containers[0] = ctr("a", 0, plan.Exited, 1)
	step("Running\na Terminated(Error 1)" + down)
	seen.Containers = []plan.Container{ctr("a", 1, plan.Running, 0), ctr("a", 0, plan.Exited, 1)}
	step("Running\na Running last=Terminated(Error 1) restarts=1 ready" + up)
	seen.Containers[0] = ctr("a", 1, plan.Exited, 137)
	seen.Containers[0].Reason = "OOMKilled"
	step("Running\na Terminated(OOMKilled 137) last=Terminated(Error 1) restarts=1" + down)
	seen.Containers = seen.Containers[:1] // the older record is removed; the status remembers
	step("Running\na Terminated(OOMKilled 137) last=Terminated(Error 1) restarts=1" + down)
	seen.Waiting = map[string]plan.Waiting{"a": {Reason: "CrashLoopBackOff", Message: "back-off 10s"}}
	step("Running\na Waiting(CrashLoopBackOff) last=Terminated(OOMKilled 137) restarts=1" + down)
	step("Running\na Waiting(CrashLoopBackOff) last=Terminated(OOMKilled 137) restarts=1" + down)
	seen.Waiting = nil
	seen.Containers = []plan.Container{ctr("a", 2, plan.Running, 0), seen.Containers[0]}
	step("Running\na Running last=Terminated(OOMKilled 137) restarts=2 ready" + up)
}

func TestLostContainers(t *testing.T) {
	pod := podOf("a", v1.RestartPolicyAlways)
	seen := &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{ctr("a", 0, plan.Running, 0)}}
	pod.Status = Of(pod, seen, nil, t0)
	seen.Containers[0] = ctr("a", 0, plan.Unknown, 0)
	for range 2 { // what is told once is told again
		pod.Status = Of(pod, seen, nil, t0)
		c := pod.Status.ContainerStatuses[0]
		if state(c.State) != "Terminated(ContainerStatusUnknown 137)" || c.State.Terminated.Message != "The container could not be located when the pod was terminated" || c.RestartCount != 1 {
			t.Errorf("unknown: %s %+v", state(c.State), c)
		}
	}
	seen.Containers = []plan.Container{ctr("a", 1, plan.Running, 0), seen.Containers[0]}
	for range 2 {
		pod.Status = Of(pod, seen, nil, t0)
		if c := pod.Status.ContainerStatuses[0]; c.RestartCount != 1 || state(c.LastTerminationState) != "Terminated(ContainerStatusUnknown 137)" {
			t.Errorf("its successor: %+v", c)
		}
	}
	// Nobody had seen it run either: the daemon died before it could say so.
	unseen := podOf("i | a", v1.RestartPolicyNever)
	lostInit := &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{ctr("i", 0, plan.Unknown, 0)}}
	for range 2 {
		unseen.Status = Of(unseen, lostInit, nil, t0)
		if c := unseen.Status.InitContainerStatuses[0]; unseen.Status.Phase != v1.PodFailed || state(c.State) != "Terminated(ContainerStatusUnknown 137)" || c.RestartCount != 1 {
			t.Errorf("lost before it was seen: %s, %+v", unseen.Status.Phase, c)
		}
	}
	// The record is gone altogether: after a reboot, say.
	pod = podOf("a", v1.RestartPolicyNever)
	pod.Status = Of(pod, &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{ctr("a", 0, plan.Running, 0)}}, nil, t0)
	pod.Status = Of(pod, &plan.Seen{}, nil, t0)
	c := pod.Status.ContainerStatuses[0]
	if pod.Status.Phase != v1.PodFailed || state(c.State) != "Waiting(ContainerCreating)" || state(c.LastTerminationState) != "Terminated(ContainerStatusUnknown 137)" || c.RestartCount != 1 {
		t.Errorf("after a reboot: %s, %s", pod.Status.Phase, summary(pod.Status))
	}
	if got := c.LastTerminationState.Terminated.Message; got != "The container could not be located when the pod was deleted.  The container used to be Running" {
		t.Errorf("message %q", got)
	}
	// An init container whose record is gone was through, if a regular container exists.
	pod = podOf("i | a", v1.RestartPolicyAlways)
	s := Of(pod, &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{ctr("a", 0, plan.Running, 0)}}, nil, t0)
	if got := state(s.InitContainerStatuses[0].State); got != "Terminated(Completed 0)" || s.Phase != v1.PodRunning {
		t.Errorf("init container without a record: %s, %s", got, s.Phase)
	}
}

func TestStartErrors(t *testing.T) {
	failed := ctr("a", 0, plan.Exited, 128)
	failed.Reason, failed.Message, failed.StartedAt = "StartError", `exec: "nosuch": executable file not found in $PATH`, time.Time{}
	waiting := map[string]plan.Waiting{"a": {Reason: "RunContainerError", Message: failed.Message}}
	always := Of(podOf("a", v1.RestartPolicyAlways), &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{failed}, Waiting: waiting}, nil, t0)
	if c := always.ContainerStatuses[0]; state(c.State) != "Waiting(RunContainerError)" || state(c.LastTerminationState) != "Terminated(StartError 128)" || c.State.Waiting.Message != failed.Message {
		t.Errorf("always: %s", summary(always))
	}
	never := Of(podOf("a", v1.RestartPolicyNever), &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{failed}, Waiting: waiting}, nil, t0)
	if c := never.ContainerStatuses[0]; state(c.State) != "Terminated(StartError 128)" || never.Phase != v1.PodFailed || c.State.Terminated.StartedAt.Unix() != 0 {
		t.Errorf("never: %s, started %v", summary(never), c.State.Terminated.StartedAt)
	}
}

func TestDeletedPods(t *testing.T) {
	gone := func(names string, policy v1.RestartPolicy, before, after []plan.Container) v1.PodStatus {
		pod := podOf(names, policy)
		pod.Status = Of(pod, &plan.Seen{Sandboxes: sandbox(), Containers: before}, nil, t0)
		pod.DeletionTimestamp = &metav1.Time{Time: t0}
		stopped := sandbox()
		stopped[0].Ready, stopped[0].Stopped = false, true
		return Of(pod, &plan.Seen{Sandboxes: stopped, Containers: after}, nil, t0)
	}
	running, killed := []plan.Container{ctr("a", 0, plan.Running, 0)}, []plan.Container{ctr("a", 0, plan.Exited, 143)}
	if s := gone("a", v1.RestartPolicyAlways, running, killed); s.Phase != v1.PodFailed || state(s.ContainerStatuses[0].State) != "Terminated(Error 143)" {
		t.Errorf("killed: %s", summary(s))
	}
	if s := gone("a", v1.RestartPolicyAlways, running, []plan.Container{ctr("a", 0, plan.Exited, 0)}); s.Phase != v1.PodSucceeded {
		t.Errorf("ended well on SIGTERM: %s", summary(s))
	}
	if s := gone("a", v1.RestartPolicyAlways, nil, nil); s.Phase != v1.PodFailed || state(s.ContainerStatuses[0].State) != "Terminated(ContainerStatusUnknown 137)" {
		t.Errorf("never started: %s", summary(s))
	}
	if s := gone("i j | a", v1.RestartPolicyAlways, nil, nil); s.Phase != v1.PodFailed || state(s.InitContainerStatuses[0].State) != "Terminated(ContainerStatusUnknown 137)" ||
		state(s.InitContainerStatuses[1].State) != "Waiting(PodInitializing)" || state(s.ContainerStatuses[0].State) != "Waiting(PodInitializing)" {
		t.Errorf("never initialized: %s", summary(s))
	}
}

func TestDeadline(t *testing.T) {
	pod := podOf("a", v1.RestartPolicyAlways)
	pod.Spec.ActiveDeadlineSeconds = new(int64(5))
	seen := &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{ctr("a", 0, plan.Running, 0)}}
	pod.Status = Of(pod, seen, nil, at(0))
	if s := Of(pod, seen, nil, at(4)); s.Phase != v1.PodRunning {
		t.Errorf("before its time: %s", s.Phase)
	}
	published := pod.Status
	pod.Status = Of(pod, seen, nil, at(5))
	if s := pod.Status; s.Phase != v1.PodFailed || s.Reason != "DeadlineExceeded" || s.Message != "Pod was active on the node longer than the specified deadline" {
		t.Errorf("%s %s %s", s.Phase, s.Reason, s.Message)
	}
	if p := Publish(pod, &published, pod.Status, false); p.Phase != v1.PodRunning || p.Reason != "" {
		t.Errorf("published while it runs: %s %s", p.Phase, p.Reason)
	}
	if p := Publish(pod, &published, pod.Status, true); p.Phase != v1.PodFailed || p.Reason != "DeadlineExceeded" {
		t.Errorf("published when it has ended: %s %s", p.Phase, p.Reason)
	}
	if later := Of(pod, seen, nil, at(60)); later.Reason != "DeadlineExceeded" {
		t.Errorf("the reason does not stay: %q", later.Reason)
	}
}

func TestFinalPhaseStays(t *testing.T) {
	pod := podOf("a", v1.RestartPolicyNever)
	pod.Status.Phase, pod.Status.Reason = v1.PodFailed, "Evicted"
	if s := Of(pod, &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{ctr("a", 0, plan.Running, 0)}}, nil, t0); s.Phase != v1.PodFailed || s.Reason != "Evicted" {
		t.Errorf("%s %s", s.Phase, s.Reason)
	}
}

func TestHostNetworkAndClass(t *testing.T) {
	pod := podOf("a", v1.RestartPolicyAlways)
	pod.Spec.HostNetwork = true
	one := resource.MustParse("1")
	pod.Spec.Containers[0].Resources = v1.ResourceRequirements{Limits: v1.ResourceList{"cpu": one, "memory": one}, Requests: v1.ResourceList{"cpu": one, "memory": one}}
	s := Of(pod, &plan.Seen{Sandboxes: []plan.Sandbox{{ID: "s0", Ready: true}}, Containers: []plan.Container{ctr("a", 0, plan.Running, 0)}}, []string{"192.0.2.1", "2001:db8::1"}, t0)
	if s.PodIP != "192.0.2.1" || len(s.PodIPs) != 2 || s.QOSClass != v1.PodQOSGuaranteed {
		t.Errorf("%v %s", s.PodIPs, s.QOSClass)
	}
	c := s.ContainerStatuses[0]
	if c.ContainerID != "hull://a0" || c.Image != "docker.io/library/img:latest" || c.ImageID != "docker.io/library/img@sha256:1" || c.AllocatedResources.Cpu().Value() != 1 {
		t.Errorf("%+v", c)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	long := ctr("a", 0, plan.Exited, 1)
	long.Message = strings.Repeat("x", 20<<10)
	s := Of(podOf("a b c", v1.RestartPolicyNever), &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{long}}, nil, t0)
	if n := len(s.ContainerStatuses[0].State.Terminated.Message); n != 4<<10 {
		t.Errorf("%d bytes", n)
	}
}

func TestOtherConditionsAreKept(t *testing.T) {
	pod := podOf("a", v1.RestartPolicyAlways)
	pod.Spec.ReadinessGates = []v1.PodReadinessGate{{ConditionType: "example.com/gate"}}
	seen := &plan.Seen{Sandboxes: sandbox(), Containers: []plan.Container{ctr("a", 0, plan.Running, 0)}}
	s := Of(pod, seen, nil, t0)
	if c := s.Conditions[2]; c.Type != v1.PodReady || c.Message != `corresponding condition of pod readiness gate "example.com/gate" does not exist.` {
		t.Errorf("%+v", c)
	}
	pod.Status.Conditions = []v1.PodCondition{{Type: "example.com/gate", Status: v1.ConditionTrue}}
	s = Of(pod, seen, nil, t0)
	if s.Conditions[0].Type != "example.com/gate" || s.Conditions[3].Status != v1.ConditionTrue {
		t.Errorf("%+v", s.Conditions)
	}
}
