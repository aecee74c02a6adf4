package plan

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var t0 = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return t0.Add(time.Duration(seconds * float64(time.Second))) }

// podOf makes a Pod from names: "a b" are containers, before a "|" init containers, of which a "+" ends a sidecar's.
func podOf(names string, policy v1.RestartPolicy) *v1.Pod {
	always := v1.ContainerRestartPolicyAlways
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", UID: "u"}}
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

func sandbox() []Sandbox { return []Sandbox{{ID: "s0", Ready: true, IPs: []string{"10.0.0.2"}}} }

func box(id string, attempt uint32, ready, stopped bool) Sandbox {
	return Sandbox{ID: id, Attempt: attempt, Ready: ready, Stopped: stopped, IPs: []string{"10.0.0.2"}}
}

func ctr(name string, state State, exit int) Container {
	return Container{ID: name + "0", SandboxID: "s0", Name: name, State: state, ExitCode: exit, Image: "img", CreatedAt: t0, StartedAt: t0, FinishedAt: t0}
}

func render(actions []Action) string {
	var s []string
	for _, a := range actions {
		s = append(s, a.String())
	}
	return strings.Join(s, "\n")
}

type scenario struct {
	name string
	pod  *v1.Pod
	edit func(*v1.Pod)
	seen Seen
	at   float64
	want string
	wake float64 // 0: none
}

func (sc scenario) run(t *testing.T) {
	t.Helper()
	if sc.edit != nil {
		sc.edit(sc.pod)
	}
	actions, wake := Next(sc.pod, sc.seen, at(sc.at))
	want := strings.TrimSpace(strings.ReplaceAll(sc.want, "\t", ""))
	if got := render(actions); got != want {
		t.Errorf("actions\n%s\nwant\n%s", got, want)
	}
	if want := sc.wake; (want == 0) != wake.IsZero() || (want != 0 && !wake.Equal(at(want))) {
		t.Errorf("wake %v, want %v s", wake, want)
	}
}

func runAll(t *testing.T, list []scenario) {
	for _, sc := range list {
		t.Run(sc.name, sc.run)
	}
}

func TestBeginning(t *testing.T) {
	runAll(t, []scenario{
		{name: "volumes first", pod: podOf("a b", v1.RestartPolicyAlways), want: "make-volumes"},
		{name: "volumes under way", pod: podOf("a", v1.RestartPolicyAlways), seen: Seen{Doing: map[string]time.Time{"make-volumes": {}}}},
		{name: "volumes failed", pod: podOf("a", v1.RestartPolicyAlways), seen: Seen{Retry: map[string]time.Time{"make-volumes": at(3)}}, wake: 3},
		{name: "then the sandbox", pod: podOf("a b", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade}, want: "run-sandbox attempt=0"},
		{name: "sandbox failed", pod: podOf("a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Retry: map[string]time.Time{"run-sandbox": at(9)}}, at: 1, wake: 9},
		{name: "containers in order", pod: podOf("a b", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox()},
			want: "start a attempt=0\nstart b attempt=0 after=a"},
		{name: "no address, no sandbox", pod: podOf("a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: []Sandbox{{ID: "s0", Ready: true}}},
			want: "note SandboxChanged s0\nstop-sandbox s0"},
		{name: "the host's network needs none", pod: podOf("a", v1.RestartPolicyAlways), edit: func(p *v1.Pod) { p.Spec.HostNetwork = true },
			seen: Seen{Volumes: VolumesMade, Sandboxes: []Sandbox{{ID: "s0", Ready: true}}}, want: "start a attempt=0"},
		{name: "all run", pod: podOf("a b", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(),
			Containers: []Container{ctr("a", Running, 0), ctr("b", Running, 0)}}},
		{name: "after a restart of the daemon, volumes are looked at before a start only", pod: podOf("a b", v1.RestartPolicyAlways),
			seen: Seen{Sandboxes: sandbox(), Containers: []Container{ctr("a", Running, 0)}}, want: "make-volumes"},
		{name: "an attempt under way orders those behind it", pod: podOf("a b", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(),
			Doing: map[string]time.Time{"start a": {}}}, want: "start b attempt=0 after=a"},
	})
}

func TestInitContainers(t *testing.T) {
	made := func(cs ...Container) Seen { return Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Containers: cs} }
	runAll(t, []scenario{
		{name: "the first", pod: podOf("i j | a", v1.RestartPolicyAlways), seen: made(), want: "start i attempt=0"},
		{name: "it runs", pod: podOf("i j | a", v1.RestartPolicyAlways), seen: made(ctr("i", Running, 0))},
		{name: "the next", pod: podOf("i j | a", v1.RestartPolicyAlways), seen: made(ctr("i", Exited, 0)), want: "start j attempt=0"},
		{name: "the container", pod: podOf("i j | a", v1.RestartPolicyAlways), seen: made(ctr("j", Exited, 0), ctr("i", Exited, 0)), want: "start a attempt=0"},
		{name: "records of the first are gone", pod: podOf("i j | a", v1.RestartPolicyAlways), seen: made(ctr("j", Exited, 0)), want: "start a attempt=0"},
		{name: "all records are gone, the container ran", pod: podOf("i j | a", v1.RestartPolicyAlways), seen: made(ctr("a", Exited, 1)), want: "start a attempt=1 backoff=10s"},
		{name: "it failed", pod: podOf("i j | a", v1.RestartPolicyOnFailure), seen: made(ctr("i", Exited, 1)), want: "start i attempt=1 backoff=10s"},
		{name: "it failed again", pod: podOf("i j | a", v1.RestartPolicyAlways), seen: made(Container{ID: "i1", SandboxID: "s0", Name: "i", State: Exited, ExitCode: 2, Image: "img",
			Backoff: 10 * time.Second, CreatedAt: t0, FinishedAt: at(1)}), at: 1, want: "wait i CrashLoopBackOff i1", wake: 11},
		{name: "it failed for good", pod: podOf("i | a", v1.RestartPolicyNever), seen: made(ctr("i", Exited, 1)), want: "stop-sandbox s0"},
		{name: "out of memory is a failure", pod: podOf("i | a", v1.RestartPolicyAlways), seen: made(Container{ID: "i0", SandboxID: "s0", Name: "i", State: Exited, Image: "img",
			Reason: "OOMKilled", CreatedAt: t0, FinishedAt: t0}), want: "start i attempt=1 backoff=10s"},
		{name: "created, not started", pod: podOf("i | a", v1.RestartPolicyNever), seen: made(ctr("i", Created, 0)), want: "remove-container i0"},
		{name: "lost", pod: podOf("i | a", v1.RestartPolicyAlways), seen: made(ctr("i", Unknown, 0)),
			want: `kill i0 (i) grace=30s Init container is in "unknown" state, try killing it before restart`},
		{name: "lost and killed", pod: podOf("i | a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Containers: []Container{ctr("i", Unknown, 0)},
			Killed: map[string]time.Time{"i0": t0}}, want: "start i attempt=1"},
		{name: "lost for good", pod: podOf("i | a", v1.RestartPolicyNever), seen: made(ctr("i", Unknown, 0)), want: "stop-sandbox s0"},
		{name: "of an old sandbox: from the first again", pod: podOf("i | a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade,
			Sandboxes: []Sandbox{box("s1", 1, true, false), box("s0", 0, false, true)}, Containers: []Container{ctr("i", Exited, 0), ctr("a", Exited, 0)}},
			want: "start i attempt=1 backoff=10s"},
		{name: "cannot start: nobody behind it either", pod: podOf("i | a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(),
			Retry: map[string]time.Time{"start i": at(5)}}, wake: 5},
	})
}

func TestSidecars(t *testing.T) {
	made := func(cs ...Container) Seen { return Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Containers: cs} }
	runAll(t, []scenario{
		{name: "started before the next", pod: podOf("s+ i | a", v1.RestartPolicyAlways), seen: made(), want: "start s attempt=0"},
		{name: "runs: the next", pod: podOf("s+ i | a", v1.RestartPolicyAlways), seen: made(ctr("s", Running, 0)), want: "start i attempt=0"},
		{name: "runs, last: containers", pod: podOf("s+ | a", v1.RestartPolicyAlways), seen: made(ctr("s", Running, 0)), want: "start a attempt=0"},
		{name: "restarts during init", pod: podOf("s+ i | a", v1.RestartPolicyNever), seen: made(ctr("i", Running, 0), ctr("s", Exited, 0)), want: "start s attempt=1 backoff=10s"},
		{name: "restarts later, whatever the policy", pod: podOf("s+ | a", v1.RestartPolicyNever), seen: made(ctr("a", Running, 0), ctr("s", Exited, 0)), want: "start s attempt=1 backoff=10s"},
		{name: "gone without a record", pod: podOf("s+ | a", v1.RestartPolicyNever), seen: made(ctr("a", Running, 0)), want: "start s attempt=0"},
		{name: "not for containers that have ended", pod: podOf("s+ | a", v1.RestartPolicyNever), seen: made(ctr("a", Exited, 0), ctr("s", Running, 0)),
			want: "kill s0 (s) grace=30s"},
		{name: "one that fails to start does not hold back the next", pod: podOf("s+ r+ | a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(),
			Containers: []Container{ctr("r", Running, 0), ctr("s", Exited, 1)}, Retry: map[string]time.Time{"start s": at(4)}}, want: "start a attempt=0", wake: 4},
	})
}

func TestRestartPolicies(t *testing.T) {
	for _, tc := range []struct {
		policy v1.RestartPolicy
		exit   int
		want   string
	}{
		{v1.RestartPolicyAlways, 0, "start a attempt=1 backoff=10s"},
		{v1.RestartPolicyAlways, 1, "start a attempt=1 backoff=10s"},
		{v1.RestartPolicyOnFailure, 0, ""},
		{v1.RestartPolicyOnFailure, 137, "start a attempt=1 backoff=10s"},
		{v1.RestartPolicyNever, 0, ""},
		{v1.RestartPolicyNever, 1, ""},
	} {
		t.Run(string(tc.policy), func(t *testing.T) {
			scenario{pod: podOf("a b", tc.policy), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(),
				Containers: []Container{ctr("a", Exited, tc.exit), ctr("b", Running, 0)}}, want: tc.want}.run(t)
		})
	}
	never, always := v1.ContainerRestartPolicyNever, v1.ContainerRestartPolicyAlways
	one := func(p *v1.ContainerRestartPolicy) func(*v1.Pod) {
		return func(pod *v1.Pod) { pod.Spec.Containers[0].RestartPolicy = p }
	}
	runAll(t, []scenario{
		{name: "a container's own policy: never", pod: podOf("a b", v1.RestartPolicyAlways), edit: one(&never), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(),
			Containers: []Container{ctr("a", Exited, 1), ctr("b", Running, 0)}}},
		{name: "a container's own policy: always", pod: podOf("a b", v1.RestartPolicyNever), edit: one(&always), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(),
			Containers: []Container{ctr("a", Exited, 1), ctr("b", Running, 0)}}, want: "start a attempt=1 backoff=10s"},
		{name: "nothing left to run", pod: podOf("a", v1.RestartPolicyNever), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Containers: []Container{ctr("a", Exited, 0)}},
			want: "stop-sandbox s0"},
		{name: "another image", pod: podOf("a", v1.RestartPolicyNever), edit: func(p *v1.Pod) { p.Spec.Containers[0].Image = "new" },
			seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Containers: []Container{ctr("a", Running, 0)}},
			want: "kill a0 (a) grace=30s Container a definition changed, will be restarted"},
		{name: "lost", pod: podOf("a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Containers: []Container{ctr("a", Unknown, 0)}},
			want: `kill a0 (a) grace=30s Container is in "unknown" state, try killing it before restart`},
		{name: "so do those that never started", pod: podOf("a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(),
			Containers: []Container{{ID: "a1", SandboxID: "s0", Name: "a", State: Running, Image: "img"}, ctr("a", Created, 0)}}, want: "remove-container a0"},
		{name: "old records go", pod: podOf("a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: []Sandbox{box("s2", 2, true, false), box("s1", 1, false, true), box("s0", 0, false, true)},
			Containers: []Container{{ID: "a3", SandboxID: "s2", Name: "a", State: Running, Image: "img"}, {ID: "a2", SandboxID: "s2", Name: "a", State: Exited}, ctr("a", Exited, 1)}},
			want: "remove-container a0\nremove-sandbox s1"},
	})
}

// TestCrashLoop follows one container through its back-off, to the second.
func TestCrashLoop(t *testing.T) {
	pod := podOf("a", v1.RestartPolicyAlways)
	now := t0
	last := Container{ID: "a", SandboxID: "s0", Name: "a", State: Exited, ExitCode: 1, Image: "img", CreatedAt: now, FinishedAt: now.Add(time.Second)}
	var delays []time.Duration
	for range 9 {
		now = last.FinishedAt
		seen := Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Containers: []Container{last}}
		actions, wake := Next(pod, seen, now)
		if len(actions) == 1 && actions[0].Kind == Wait {
			if want := "back-off " + last.Backoff.String() + " restarting failed container=a pod=p_default(u)"; actions[0].Message != want {
				t.Errorf("message %q, want %q", actions[0].Message, want)
			}
			seen.Waiting = map[string]Waiting{"a": {Reason: actions[0].Reason, Message: actions[0].Message}}
			if again, _ := Next(pod, seen, now); len(again) != 0 {
				t.Errorf("what is noted is noted again: %s", render(again))
			}
			if early, _ := Next(pod, seen, wake.Add(-1)); len(early) != 0 {
				t.Errorf("started before its time: %s", render(early))
			}
			actions, _ = Next(pod, seen, wake)
		} else {
			wake = now
		}
		if len(actions) != 1 || actions[0].Kind != Start {
			t.Fatalf("at %v: %s", wake, render(actions))
		}
		delays = append(delays, wake.Sub(now))
		last.Backoff, last.Attempt, last.CreatedAt, last.FinishedAt = actions[0].Backoff, actions[0].Attempt, wake, wake.Add(time.Second)
	}
	const s = time.Second
	if want := []time.Duration{0, 10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 300 * s, 300 * s, 300 * s}; !slices.Equal(delays, want) {
		t.Errorf("delays %v, want %v", delays, want)
	}
	// Ten minutes of running, and a moment, and all is forgiven; ten minutes are not enough.
	last.FinishedAt = last.CreatedAt.Add(10 * time.Minute)
	if until := heldUntil(&last); until.IsZero() {
		t.Error("reset after ten minutes sharp")
	}
	last.FinishedAt = last.FinishedAt.Add(time.Second)
	if until, next := heldUntil(&last), NextBackoff(&last); !until.IsZero() || next != 10*s {
		t.Errorf("after a long run: held until %v, next delay %v", until, next)
	}
}

func TestImagePullBackoff(t *testing.T) {
	pull := Backoff{}.Failed(t0)
	seen := func(reason, message string) Seen {
		return Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Retry: map[string]time.Time{"start a": pull.Until()},
			Waiting: map[string]Waiting{"a": {Reason: reason, Message: message, At: t0}}, Pulls: map[string]Backoff{"img": pull}}
	}
	const backoff = `Back-off pulling image "img": ErrImagePull: no such host`
	pod := podOf("a", v1.RestartPolicyAlways)
	runAll(t, []scenario{
		{name: "the error first", pod: pod, seen: seen("ErrImagePull", "no such host"), at: 0.5, wake: 1},
		{name: "then the back-off", pod: pod, seen: seen("ErrImagePull", "no such host"), at: 1, want: "wait a ImagePullBackOff", wake: 10},
		{name: "which is told once", pod: pod, seen: seen("ImagePullBackOff", backoff), at: 2, wake: 10},
		{name: "and over", pod: pod, seen: seen("ImagePullBackOff", backoff), at: 10, want: "start a attempt=0"},
	})
	if got := pullBackoffMessage("img", Waiting{Reason: "ErrImagePull", Message: "no such host"}); got != backoff {
		t.Errorf("message %q", got)
	}
	var delays []time.Duration
	b, now := Backoff{}, t0
	for range 7 {
		b = b.Failed(now)
		delays = append(delays, b.Delay)
		now = b.Until()
	}
	const s = time.Second
	if want := []time.Duration{10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 300 * s, 300 * s}; !slices.Equal(delays, want) {
		t.Errorf("delays %v, want %v", delays, want)
	}
	if b = b.Failed(now.Add(11 * time.Minute)); b.Delay != 10*s {
		t.Errorf("a back-off that nobody asked for in ten minutes is %v", b.Delay)
	}
	actions, _ := Next(pod, seen("ErrImageNeverPull", "x"), at(10))
	if len(actions) != 1 || !actions[0].NotBefore.Equal(at(10)) {
		t.Errorf("the start does not carry the pull's back-off: %v", actions)
	}
}

func TestVolumeRetry(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 500 * time.Millisecond, 2: time.Second, 3: 2 * time.Second, 9: maxVolumeRetry, 100: maxVolumeRetry} {
		if got := VolumeRetry(n); got != want {
			t.Errorf("after failure %d: %v, want %v", n, got, want)
		}
	}
}

func TestSandboxDied(t *testing.T) {
	dead := []Sandbox{box("s0", 0, false, false)}
	gone := []Sandbox{box("s0", 0, false, true)}
	runAll(t, []scenario{
		{name: "containers that live on are killed", pod: podOf("a b", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: dead,
			Containers: []Container{ctr("a", Running, 0), ctr("b", Exited, 0)}}, want: "note SandboxChanged s0\nkill a0 (a) grace=30s"},
		{name: "then the sandbox is stopped", pod: podOf("a b", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: dead,
			Containers: []Container{ctr("a", Exited, 137), ctr("b", Exited, 0)}}, want: "note SandboxChanged s0\nstop-sandbox s0"},
		{name: "and a new one made", pod: podOf("a b", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: gone,
			Containers: []Container{ctr("a", Exited, 137), ctr("b", Exited, 0)}}, want: "note SandboxChanged s0\nrun-sandbox attempt=1"},
		{name: "init containers begin again", pod: podOf("i | a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: gone,
			Containers: []Container{ctr("a", Exited, 137), ctr("i", Exited, 0)}}, want: "note SandboxChanged s0\nremove-container i0"},
		{name: "never: the Pod ends", pod: podOf("a", v1.RestartPolicyNever), seen: Seen{Volumes: VolumesMade, Sandboxes: dead,
			Containers: []Container{ctr("a", Running, 0)}}, want: "kill a0 (a) grace=30s"},
		{name: "never, nothing made yet: try again", pod: podOf("a", v1.RestartPolicyNever), seen: Seen{Volumes: VolumesMade, Sandboxes: gone},
			want: "note SandboxChanged s0\nrun-sandbox attempt=1"},
		{name: "on failure, all had succeeded: no new one", pod: podOf("a b", v1.RestartPolicyOnFailure), seen: Seen{Volumes: VolumesMade, Sandboxes: dead,
			Containers: []Container{ctr("a", Exited, 0), ctr("b", Exited, 0)}}, want: "stop-sandbox s0"},
		{name: "on failure, one had not", pod: podOf("a b", v1.RestartPolicyOnFailure), seen: Seen{Volumes: VolumesMade, Sandboxes: gone,
			Containers: []Container{ctr("a", Exited, 0), ctr("b", Exited, 1)}}, want: "note SandboxChanged s0\nrun-sandbox attempt=1"},
		{name: "two are ready: none is right", pod: podOf("a", v1.RestartPolicyAlways), seen: Seen{Volumes: VolumesMade, Sandboxes: []Sandbox{box("s1", 1, true, false), box("s0", 0, true, false)}},
			want: "note SandboxChanged s1\nstop-sandbox s1\nstop-sandbox s0"},
		{name: "in the new one: only what is to be run again", pod: podOf("a b", v1.RestartPolicyOnFailure), seen: Seen{Volumes: VolumesMade,
			Sandboxes: []Sandbox{box("s1", 1, true, false), box("s0", 0, false, true)}, Containers: []Container{ctr("a", Exited, 0), ctr("b", Exited, 1)}},
			want: "start b attempt=1 backoff=10s"},
	})
}

func deleted(grace int64) func(*v1.Pod) {
	return func(p *v1.Pod) {
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &metav1.Time{Time: t0}, &grace
	}
}

func TestDeletion(t *testing.T) {
	run := func(names ...string) (cs []Container) {
		for _, n := range names {
			cs = append(cs, ctr(n, Running, 0))
		}
		return cs
	}
	runAll(t, []scenario{
		{name: "all at once", pod: podOf("a b", v1.RestartPolicyAlways), edit: deleted(5), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Containers: run("a", "b")},
			want: "kill a0 (a) grace=5s\nkill b0 (b) grace=5s"},
		{name: "for ever", pod: podOf("a", v1.RestartPolicyAlways), edit: deleted(math.MaxInt64), seen: Seen{Sandboxes: sandbox(), Containers: run("a")}, want: "kill a0 (a) grace=596523h14m7s"},
		{name: "never less than two seconds", pod: podOf("a", v1.RestartPolicyAlways), edit: deleted(0), seen: Seen{Sandboxes: sandbox(), Containers: run("a")}, want: "kill a0 (a) grace=2s"},
		{name: "under way", pod: podOf("a", v1.RestartPolicyAlways), edit: deleted(5), seen: Seen{Sandboxes: sandbox(), Containers: run("a"),
			Doing: map[string]time.Time{"kill a0": at(5)}, Killed: map[string]time.Time{"a0": t0}}},
		{name: "less patience", pod: podOf("a", v1.RestartPolicyAlways), edit: deleted(5), at: 1, seen: Seen{Sandboxes: sandbox(), Containers: run("a"),
			Doing: map[string]time.Time{"kill a0": at(30)}, Killed: map[string]time.Time{"a0": t0}}, want: "kill a0 (a) grace=4s"},
		{name: "a start is awaited", pod: podOf("a", v1.RestartPolicyAlways), edit: deleted(5), seen: Seen{Sandboxes: sandbox(), Doing: map[string]time.Time{"start a": {}}}},
		{name: "so is a sandbox", pod: podOf("a", v1.RestartPolicyAlways), edit: deleted(5), seen: Seen{Doing: map[string]time.Time{"run-sandbox": {}}}},
		{name: "nothing is started", pod: podOf("a b", v1.RestartPolicyAlways), edit: deleted(5), seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Containers: []Container{ctr("a", Exited, 143)}},
			want: "stop-sandbox s0"},
		{name: "then it is cleared", pod: podOf("a", v1.RestartPolicyAlways), edit: deleted(5), seen: Seen{Volumes: VolumesMade, Sandboxes: []Sandbox{box("s0", 0, false, true)}, Containers: []Container{ctr("a", Exited, 143)}},
			want: "remove-volumes\nremove-container a0"},
		{name: "the sandbox last", pod: podOf("a", v1.RestartPolicyAlways), edit: deleted(5), seen: Seen{Volumes: VolumesRemoved, Sandboxes: []Sandbox{box("s0", 0, false, true)}}, want: "remove-sandbox s0"},
		{name: "then the object", pod: podOf("a", v1.RestartPolicyAlways), edit: deleted(5), seen: Seen{Volumes: VolumesRemoved}, want: "finish"},
		{name: "never started", pod: podOf("a", v1.RestartPolicyAlways), edit: deleted(5), want: "remove-volumes"},
		{name: "an orphan", pod: podOf("a", v1.RestartPolicyAlways), seen: Seen{Orphan: true, Volumes: VolumesRemoved, Sandboxes: []Sandbox{box("s0", 0, true, false)}}, want: "stop-sandbox s0"},
		{name: "a final phase keeps the records", pod: podOf("a", v1.RestartPolicyNever), edit: func(p *v1.Pod) { p.Status.Phase = v1.PodSucceeded },
			seen: Seen{Volumes: VolumesRemoved, Sandboxes: []Sandbox{box("s0", 0, false, true)}, Containers: []Container{ctr("a", Exited, 0)}}},
	})
}

func TestSidecarsEndLast(t *testing.T) {
	pod := podOf("s+ i r+ | a", v1.RestartPolicyAlways)
	deleted(10)(pod)
	all := func(states ...State) []Container {
		cs := []Container{ctr("a", Running, 0), ctr("r", Running, 0), ctr("s", Running, 0)}
		for i, s := range states {
			cs[i].State = s
		}
		return cs
	}
	killing := func(names ...string) map[string]time.Time {
		m := map[string]time.Time{}
		for _, n := range names {
			m["kill "+n+"0"] = at(10)
		}
		return m
	}
	runAll(t, []scenario{
		{name: "containers first", pod: pod, seen: Seen{Sandboxes: sandbox(), Containers: all()}, want: "kill a0 (a) grace=10s", wake: 10},
		{name: "sidecars wait", pod: pod, at: 3, seen: Seen{Sandboxes: sandbox(), Containers: all(), Doing: killing("a"), Ending: t0}, wake: 10},
		{name: "then the last", pod: pod, at: 3.4, seen: Seen{Sandboxes: sandbox(), Containers: all(Exited), Ending: t0}, want: "kill r0 (r) grace=7s", wake: 10},
		{name: "then the first", pod: pod, at: 4, seen: Seen{Sandboxes: sandbox(), Containers: all(Exited, Exited), Ending: t0}, want: "kill s0 (s) grace=6s"},
		{name: "patience ends for all", pod: pod, at: 10, seen: Seen{Sandboxes: sandbox(), Containers: all(), Doing: killing("a"), Killed: map[string]time.Time{"a0": t0}, Ending: t0},
			want: "kill r0 (r) grace=2s\nkill s0 (s) grace=2s"},
	})
}

func TestDeadline(t *testing.T) {
	ten := int64(10)
	pod := podOf("a", v1.RestartPolicyAlways)
	pod.Spec.ActiveDeadlineSeconds = &ten
	pod.Status.StartTime = &metav1.Time{Time: t0}
	scenario{pod: pod, at: 4, seen: Seen{Volumes: VolumesMade, Sandboxes: sandbox(), Containers: []Container{ctr("a", Running, 0)}}, wake: 10}.run(t)
}
