package pod

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/pod/spec"
	"github.com/hull-pods/hull/internal/store"
)

// bench is a real store and real workers on a fake runtime, in a bubble of fake time.
type bench struct {
	t       *testing.T
	store   *store.Store
	rt      *fakeRuntime
	images  *fakeImages
	volumes *fakeVolumes
	logs    string
	stop    func() // of the workers, and waits for them
	pods    *Pods
	blocked func() ([]string, error)
}

// inBubble runs a test with everything in a bubble.
func inBubble(t *testing.T, test func(b *bench)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(filepath.Join(dir, "objects.db"), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		rt := newFakeRuntime()
		img := image.Image{ID: "sha256:1", Names: []string{"docker.io/library/img:latest"}, Digests: []string{"docker.io/library/img@sha256:2"}, Size: 42}
		b := &bench{t: t, store: s, rt: rt, logs: filepath.Join(dir, "logs"),
			images:  &fakeImages{rt: rt, present: map[string]image.Image{"img": img}, remote: map[string]image.Image{}},
			blocked: func() ([]string, error) { return nil, nil },
			volumes: &fakeVolumes{rt: rt, dir: dir, have: map[types.UID]bool{}}}
		b.start()
		test(b)
		b.stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// start brings the workers to life, the first time or again.
func (b *bench) start() {
	ctx, cancel := context.WithCancel(b.t.Context())
	p := New(Config{
		Store: b.store, Sandboxes: b.rt, Containers: b.rt, Images: b.images, Volumes: b.volumes, NodeName: "node",
		HostIPs: func() []string { return []string{"192.0.2.1"} }, Blocked: func() ([]string, error) { return b.blocked() }, Log: slog.New(slog.DiscardHandler),
		Options: spec.Options{LogRoot: b.logs, ClusterDomain: "cluster.local"},
	})
	b.pods = p
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	b.stop = func() { cancel(); <-done }
}

// drain begins to end all Pods; what it returns tells whether that is done.
func (b *bench) drain(patience time.Duration) (done func() bool) {
	ended := make(chan struct{})
	pods := b.pods
	go func() {
		defer close(ended)
		if err := pods.Drain(b.t.Context(), patience); err != nil {
			b.t.Error(err)
		}
	}()
	return func() bool { return over(ended) }
}

// pass lets time pass, and everything happen that is due in it.
func (b *bench) pass(seconds float64) {
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	synctest.Wait()
}

// behaves says what containers of a name do from now on.
func (b *bench) behaves(name string, how behaviour) {
	b.rt.mu.Lock()
	defer b.rt.mu.Unlock()
	b.rt.behave[name] = how
}

// podOf makes a Pod from names; before a "|" stand init containers, of which a "+" ends a sidecar's.
func podOf(names string, policy v1.RestartPolicy) *v1.Pod {
	always := v1.ContainerRestartPolicyAlways
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default"}}
	pod.Spec.RestartPolicy = policy
	init, regular, found := strings.Cut(names, "|")
	if !found {
		init, regular = "", names
	}
	container := func(name string) v1.Container {
		return v1.Container{Name: name, Image: "img", ImagePullPolicy: v1.PullIfNotPresent, TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: v1.TerminationMessageReadFile}
	}
	for _, n := range strings.Fields(init) {
		c := container(strings.TrimSuffix(n, "+"))
		if strings.HasSuffix(n, "+") {
			c.RestartPolicy = &always
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	for _, n := range strings.Fields(regular) {
		pod.Spec.Containers = append(pod.Spec.Containers, container(n))
	}
	return pod
}

func (b *bench) create(pod *v1.Pod) *v1.Pod {
	b.t.Helper()
	obj, _, err := b.store.Create(pod)
	if err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
	return obj.(*v1.Pod)
}

// delete does what the API does with a request to delete.
func (b *bench) delete(grace int64) {
	b.t.Helper()
	_, _, err := store.Update(b.store, "default", "p", func(current *v1.Pod) (*v1.Pod, error) {
		next := current.DeepCopy()
		at := metav1.NewTime(time.Now().Add(time.Duration(grace) * time.Second))
		next.DeletionTimestamp, next.DeletionGracePeriodSeconds = &at, &grace
		return next, nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
}

func (b *bench) get() *v1.Pod {
	b.t.Helper()
	pod, err := store.Get[*v1.Pod](b.store, "default", "p")
	if err != nil {
		b.t.Fatal(err)
	}
	return pod
}

func (b *bench) gone() bool {
	_, err := store.Get[*v1.Pod](b.store, "default", "p")
	return err != nil
}

func state(s v1.ContainerState) string {
	switch {
	case s.Running != nil:
		return "Running"
	case s.Terminated != nil:
		return fmt.Sprintf("%s(%d)", s.Terminated.Reason, s.Terminated.ExitCode)
	case s.Waiting != nil:
		return s.Waiting.Reason
	}
	return "-"
}

// summary is the Pod's status in a line: "Running a=Running b=CrashLoopBackOff/3".
func (b *bench) summary() string {
	pod := b.get()
	s := string(pod.Status.Phase)
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		s += fmt.Sprintf(" %s=%s", c.Name, state(c.State))
		if c.RestartCount > 0 {
			s += fmt.Sprintf("/%d", c.RestartCount)
		}
	}
	return s
}

func (b *bench) want(summary string) {
	b.t.Helper()
	if got := b.summary(); got != summary {
		b.t.Errorf("at second %v: %s, want %s", time.Since(b.rt.began).Round(time.Millisecond), got, summary)
	}
}

func (b *bench) did(want string, words ...string) {
	b.t.Helper()
	want = strings.TrimSpace(strings.ReplaceAll(want, "\t", ""))
	got := b.rt.done(words...)
	if slices.Contains(words, "stop") { // kills go out together
		lines, wanted := strings.Split(got, "\n"), strings.Split(want, "\n")
		slices.Sort(lines)
		slices.Sort(wanted)
		got, want = strings.Join(lines, "\n"), strings.Join(wanted, "\n")
	}
	if got != want {
		b.t.Errorf("did\n%s\nwant\n%s", got, want)
	}
}

// told lists the events so far: "Warning BackOff a: message".
func (b *bench) told() []string {
	b.t.Helper()
	events, _, err := store.List[*v1.Event](b.store, "default", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	slices.SortFunc(events, func(x, y *v1.Event) int { return strings.Compare(x.Name, y.Name) })
	var list []string
	for _, e := range events {
		s := e.Reason
		if _, name, ok := strings.Cut(e.InvolvedObject.FieldPath, "{"); ok {
			s += " " + strings.TrimSuffix(name, "}")
		}
		if e.Type == v1.EventTypeWarning {
			s = "Warning " + s
		}
		list = append(list, s+": "+e.Message)
	}
	return list
}

func (b *bench) wantTold(want ...string) {
	b.t.Helper()
	got := b.told()
	for _, w := range want {
		if !slices.Contains(got, w) {
			b.t.Errorf("not told: %s\namong\n%s", w, strings.Join(got, "\n"))
		}
	}
}

// clean checks that nothing is left of any Pod.
func (b *bench) clean() {
	b.t.Helper()
	b.rt.mu.Lock()
	defer b.rt.mu.Unlock()
	if len(b.rt.sandboxes)+len(b.rt.containers)+len(b.volumes.have) > 0 {
		b.t.Errorf("left: %v %v %v", b.rt.sandboxes, b.rt.containers, b.volumes.have)
	}
	if left, _ := filepath.Glob(filepath.Join(b.logs, "*")); len(left) > 0 {
		b.t.Errorf("logs are left: %v", left)
	}
}
