package plan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// world is a Pod, a clock and a kernel whose moods are drawn from bytes. It carries out actions as the worker does, in any
// order and with any outcome, and complains when a plan breaks a rule.
type world struct {
	t    *testing.T
	pod  *v1.Pod
	seen Seen
	now  time.Time
	wake time.Time
	dice []byte
	ids  int
	todo []Action // under way
	// image is that of each start under way: the Pod may have got another meanwhile.
	image map[string]string
	done  bool // the object is gone
}

// roll draws a number below n; when the dice are used up it is 0, which is what happens on a good day.
func (w *world) roll(n int) int {
	if len(w.dice) == 0 {
		return 0
	}
	d := int(w.dice[0]) % n
	w.dice = w.dice[1:]
	return d
}

func (w *world) id(prefix string) string { w.ids++; return fmt.Sprintf("%s-%d", prefix, w.ids) }

// ask calls Next and takes on what it says.
func (w *world) ask() {
	w.phase()
	actions, wake := Next(w.pod, w.seen, w.now)
	w.wake = wake
	taken := map[string]bool{}
	for _, a := range actions {
		key := a.Key()
		if taken[key] {
			w.t.Fatalf("%s twice in one plan", a)
		}
		taken[key] = true
		w.check(a)
		switch a.Kind {
		case Note:
		case Wait:
			w.seen.Waiting[a.Name] = Waiting{Reason: a.Reason, Message: a.Message, At: w.now}
		default:
			if _, doing := w.seen.Doing[key]; doing {
				w.drop(key)
			}
			w.seen.Doing[key] = time.Time{}
			if a.Kind == Kill {
				w.beginKill(a, key)
			}
			if a.Kind == Start {
				w.image[a.Name] = w.spec(a.Name).Image
			}
			w.todo = append(w.todo, a)
		}
	}
}

func (w *world) beginKill(a Action, key string) {
	if _, again := w.seen.Killed[a.ID]; !again {
		w.seen.Killed[a.ID] = w.now
	}
	w.seen.Doing[key] = w.now.Add(a.Grace)
	if a.End && w.seen.Ending.IsZero() {
		w.seen.Ending = w.now
	}
}

// drop forgets an action that another one of its key replaces.
func (w *world) drop(key string) {
	w.todo = slices.DeleteFunc(w.todo, func(a Action) bool { return a.Key() == key })
}

// check holds an action against the rules that no plan may break.
func (w *world) check(a Action) {
	over := Over(w.pod, &w.seen)
	switch a.Kind {
	case Start:
		last := w.seen.Newest(a.Name)
		switch {
		case over || w.seen.Draining != 0:
			w.t.Fatalf("%s in a Pod that ends", a)
		case last != nil && last.State == Running:
			w.t.Fatalf("%s while %s runs", a, last.ID)
		case w.seen.Active() == nil:
			w.t.Fatalf("%s without a sandbox", a)
		case w.seen.Volumes != VolumesMade:
			w.t.Fatalf("%s without volumes", a)
		case last != nil && a.Attempt <= last.Attempt && last.SandboxID == w.seen.Active().ID:
			w.t.Fatalf("%s, and %s was attempt %d", a, last.ID, last.Attempt)
		}
		w.checkOrder(a)
	case RunSandbox:
		if over || w.seen.Draining != 0 || w.seen.Active() != nil {
			w.t.Fatalf("%s: over %v, draining %v, active %v", a, over, w.seen.Draining, w.seen.Active())
		}
	case RemoveVolumes, Finish, RemoveSandbox:
		for _, c := range w.seen.Containers {
			if c.State == Running && (a.Kind != RemoveSandbox || c.SandboxID == a.ID) {
				w.t.Fatalf("%s while %s runs", a, c.ID)
			}
		}
	case MakeVolumes:
		if over || w.seen.Draining != 0 {
			w.t.Fatalf("%s in a Pod that ends", a)
		}
	}
}

// spec is the container of a name as it is wanted.
func (w *world) spec(name string) *v1.Container {
	for _, list := range [][]v1.Container{w.pod.Spec.InitContainers, w.pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	w.t.Fatalf("no container %s", name)
	return nil
}

// checkOrder: whatever starts, every init container before it is through, or is a sidecar that was started.
func (w *world) checkOrder(a Action) {
	if w.seen.ActiveRegular(w.pod) {
		return
	}
	for i := range w.pod.Spec.InitContainers {
		c := &w.pod.Spec.InitContainers[i]
		if c.Name == a.Name {
			return
		}
		last := w.seen.newestActive(c.Name)
		ok := last != nil && (isSidecar(c) || (last.State == Exited && last.ExitCode == 0))
		if !ok {
			later := w.pod.Spec.InitContainers[i+1:]
			ok = slices.ContainsFunc(later, func(l v1.Container) bool { return w.seen.newestActive(l.Name) != nil })
		}
		if !ok {
			w.t.Fatalf("%s before %s was through", a, c.Name)
		}
	}
}

// phase stands in for the status: final when nothing is to be run again, and final for ever.
func (w *world) phase() {
	if w.pod.Status.Phase == v1.PodSucceeded || w.pod.Status.Phase == v1.PodFailed {
		return
	}
	for i := range w.pod.Spec.InitContainers {
		c := &w.pod.Spec.InitContainers[i]
		if last := w.seen.Newest(c.Name); !isSidecar(c) && last != nil && last.State == Exited && last.ExitCode != 0 && !ShouldRestart(c, w.pod, last) {
			w.pod.Status.Phase = v1.PodFailed
			return
		}
	}
	for i := range w.pod.Spec.Containers {
		c := &w.pod.Spec.Containers[i]
		if last := w.seen.Newest(c.Name); last == nil || last.State != Exited || ShouldRestart(c, w.pod, last) || w.seen.Replaced(c) {
			return
		}
	}
	w.pod.Status.Phase = v1.PodSucceeded
}

// finish ends the i-th action that is under way.
func (w *world) finish(i int) {
	a := w.todo[i]
	w.todo = slices.Delete(w.todo, i, i+1)
	key := a.Key()
	delete(w.seen.Doing, key)
	if fails := w.roll(8) == 7; fails && a.Kind != Kill {
		if sb := w.seen.Active(); a.Kind == Start && sb != nil && w.roll(2) == 1 { // the daemon died between create and start
			c := Container{ID: w.id(a.Name), SandboxID: sb.ID, Name: a.Name, Attempt: a.Attempt, Backoff: a.Backoff, State: Created, Image: w.image[a.Name], CreatedAt: w.now}
			w.seen.Containers = slices.Insert(w.seen.Containers, 0, c)
			return
		}
		w.seen.Retry[key] = w.now.Add(RetryAfter)
		if a.Kind == Start {
			w.seen.Waiting[a.Name] = Waiting{Reason: "CreateContainerError", At: w.now}
		}
		return
	}
	delete(w.seen.Retry, key)
	switch a.Kind {
	case MakeVolumes:
		w.seen.Volumes = VolumesMade
	case RemoveVolumes:
		w.seen.Volumes = VolumesRemoved
	case RunSandbox:
		s := Sandbox{ID: w.id("s"), Attempt: a.Attempt, Ready: true, IPs: []string{"10.0.0.2"}, CreatedAt: w.now}
		w.seen.Sandboxes = slices.Insert(w.seen.Sandboxes, 0, s)
	case StopSandbox:
		w.edit(a.ID, func(s *Sandbox) { s.Ready, s.Stopped = false, true })
	case RemoveSandbox:
		w.seen.Sandboxes = slices.DeleteFunc(w.seen.Sandboxes, func(s Sandbox) bool { return s.ID == a.ID })
	case RemoveContainer:
		w.seen.Containers = slices.DeleteFunc(w.seen.Containers, func(c Container) bool { return c.ID == a.ID })
	case Kill:
		w.exit(a.ID, 143)
	case Start:
		w.started(a)
	case Finish:
		w.done = true
	}
}

func (w *world) started(a Action) {
	sb := w.seen.Active()
	if sb == nil {
		w.seen.Retry[a.Key()] = w.now.Add(RetryAfter)
		return
	}
	for _, c := range w.seen.Containers {
		if c.Name == a.Name && (c.State == Running || c.State == Created) {
			w.t.Fatalf("two of %s", a.Name)
		}
	}
	delete(w.seen.Waiting, a.Name)
	c := Container{ID: w.id(a.Name), SandboxID: sb.ID, Name: a.Name, Attempt: a.Attempt, Backoff: a.Backoff, State: Running, Image: w.image[a.Name], CreatedAt: w.now, StartedAt: w.now}
	w.seen.Containers = slices.Insert(w.seen.Containers, 0, c)
}

func (w *world) edit(id string, change func(*Sandbox)) {
	for i := range w.seen.Sandboxes {
		if w.seen.Sandboxes[i].ID == id {
			change(&w.seen.Sandboxes[i])
		}
	}
}

func (w *world) exit(id string, code int) {
	for i := range w.seen.Containers {
		if c := &w.seen.Containers[i]; c.ID == id && c.State == Running {
			c.State, c.ExitCode, c.FinishedAt = Exited, code, w.now
		}
	}
	if !slices.ContainsFunc(w.seen.Containers, func(c Container) bool { return c.State == Running }) {
		w.seen.Ending = time.Time{}
	}
}

// happen lets something happen in the kernel, or time pass.
func (w *world) happen() {
	switch w.roll(9) {
	case 1:
		if n := len(w.seen.Containers); n > 0 {
			w.exit(w.seen.Containers[w.roll(n)].ID, w.roll(2))
		}
	case 2:
		if n := len(w.seen.Sandboxes); n > 0 {
			w.seen.Sandboxes[w.roll(n)].Ready = false
		}
	case 3:
		if w.roll(4) == 3 && w.pod.DeletionTimestamp == nil {
			grace := int64(w.roll(40))
			w.pod.DeletionTimestamp, w.pod.DeletionGracePeriodSeconds = &metav1.Time{Time: w.now}, &grace
		}
	case 4:
		w.now = w.now.Add(time.Duration(w.roll(256)) * time.Second)
	case 5:
		if n := len(w.seen.Containers); n > 0 && w.roll(8) == 7 {
			if c := &w.seen.Containers[w.roll(n)]; c.State == Running {
				c.State = Unknown
			}
		}
	case 6:
		if list := w.pod.Spec.Containers; w.roll(4) == 3 {
			list[w.roll(len(list))].Image = w.id("img")
			w.seen.Retry = map[string]time.Time{}
		}
	case 7:
		if w.roll(8) == 7 {
			w.seen.Draining = time.Duration(1+w.roll(30)) * time.Second
		}
	case 8:
		if w.roll(8) == 7 {
			w.seen.Orphan, w.seen.Retry = true, map[string]time.Time{}
		}
	default:
		w.pass()
	}
}

// pass lets time run to the next thing that is due.
func (w *world) pass() {
	if len(w.todo) > 0 {
		w.finish(w.roll(len(w.todo)))
	} else if w.wake.After(w.now) {
		w.now = w.wake
	}
}

var shapes = []string{"a", "a b", "i | a", "i j | a b", "s+ | a", "s+ i r+ | a b", "i s+ | a"}

// FuzzNext plays the worker against a moody kernel, then lets the mood pass: the Pod must come to rest as its spec wants.
func FuzzNext(f *testing.F) {
	f.Add(uint8(0), uint8(0), []byte{})
	f.Add(uint8(3), uint8(1), []byte{0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 0, 0, 0, 4, 9})
	f.Add(uint8(5), uint8(2), []byte{0, 7, 0, 0, 1, 1, 1, 1, 5, 7, 0, 0, 3, 3, 9, 0, 0, 0})
	f.Fuzz(func(t *testing.T, shape, policy uint8, dice []byte) {
		policies := []v1.RestartPolicy{v1.RestartPolicyAlways, v1.RestartPolicyOnFailure, v1.RestartPolicyNever}
		w := &world{t: t, now: t0, dice: dice, image: map[string]string{}, pod: podOf(shapes[int(shape)%len(shapes)], policies[int(policy)%3]), seen: Seen{
			Doing: map[string]time.Time{}, Retry: map[string]time.Time{}, Waiting: map[string]Waiting{}, Killed: map[string]time.Time{}}}
		for len(w.dice) > 0 && !w.done {
			w.ask()
			w.happen()
		}
		w.settle()
	})
}

// settle plays on with good dice. Init containers then succeed, containers run for ever.
func (w *world) settle() {
	for range 500 {
		if w.done {
			return
		}
		w.ask()
		if len(w.todo) == 0 {
			if w.initEnds() {
				continue
			}
			if !w.wake.After(w.now) {
				w.rest()
				return
			}
		}
		w.pass()
	}
	w.t.Fatalf("no rest after 500 steps: %+v", w.seen)
}

func (w *world) initEnds() bool {
	for i := range w.pod.Spec.InitContainers {
		c := &w.pod.Spec.InitContainers[i]
		if last := w.seen.Newest(c.Name); !isSidecar(c) && last != nil && last.State == Running {
			w.exit(last.ID, 0)
			return true
		}
	}
	return false
}

// rest says whether the state in which nothing more is to be done is the right one.
func (w *world) rest() {
	switch {
	case w.pod.DeletionTimestamp != nil || w.seen.Orphan:
		w.t.Fatalf("a deleted Pod rests, and is not gone: %+v", w.seen)
	case Over(w.pod, &w.seen):
		if !w.seen.Stopped() || w.seen.Volumes != VolumesRemoved {
			w.t.Fatalf("an ended Pod rests with something left: %+v", w.seen)
		}
		return
	case w.seen.Draining != 0:
		if !w.seen.Stopped() {
			w.t.Fatalf("a drained Pod rests with something running: %+v", w.seen)
		}
		return
	}
	p := planner{pod: w.pod, seen: &w.seen}
	if needed, attempt, _, _ := SandboxNeeded(w.pod, &w.seen); needed && !p.wantsSandbox(attempt) {
		return // restartPolicy Never, and the sandbox died before all had begun: the kubelet leaves such a Pod as it is
	}
	for i := range w.pod.Spec.Containers {
		c := &w.pod.Spec.Containers[i]
		last := w.seen.Newest(c.Name)
		if ShouldRestart(c, w.pod, last) || w.seen.Replaced(c) {
			w.t.Fatalf("container %s is forgotten: %+v", c.Name, w.seen)
		}
		if last.State == Running && last.Image != c.Image {
			w.t.Fatalf("container %s runs %s, and is to run %s: %+v", c.Name, last.Image, c.Image, w.seen)
		}
	}
}
