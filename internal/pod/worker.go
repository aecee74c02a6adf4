package pod

import (
	"context"
	"errors"
	"log/slog"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/hull-pods/hull/internal/pod/plan"
	"github.com/hull-pods/hull/internal/pod/status"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/store"
	"github.com/hull-pods/hull/internal/volume"
)

// worker is one Pod. Its goroutine, of which there is at most one at a time, alone touches the fields; actions that are under way have
// copies of what they need.
type worker struct {
	p     *Pods
	log   *slog.Logger
	inbox inbox

	pod       *v1.Pod      // ours: metadata and spec as in the store, the status as computed last
	published v1.PodStatus // what the store says
	version   uint64       // of the object that was seen last
	seen      plan.Seen
	sandboxes []string            // IDs that the runtime knows
	ahead     map[string]*created // containers that were made with the sandbox, by name, and wait for their start
	stopped   map[string]bool     // sandboxes that StopSandbox is done with
	messages  map[string]string   // last words of containers, by ID
	records   map[string]record   // what goes with a container's removal, by ID
	noted     map[note]bool       // events that were told
	flights   map[string]*flight
	volumes   int           // failures in a row to make the volumes
	finished  bool          // everything is removed, and the object is told to go
	over      bool          // nothing is left to do for this worker
	quiet     chan struct{} // closed when all of it has ended that [Pods.Drain] waits for
	ended     chan struct{}
}

// flight is an action that is under way.
type flight struct {
	plan.Action
	cancel context.CancelFunc
	began  time.Time
	tried  chan struct{} // Start: closed by pass
	pass   func()        // Start: lets those that come after it go on, when it runs its command or has failed; more than once is no harm
}

// note is an event that is told once of a sandbox.
type note struct{ sandbox, reason string }

// record is what a container has outside of the runtime.
type record struct{ log, termination string }

func newWorker(p *Pods, pod *v1.Pod, sandboxes []runtime.SandboxStatus) *worker {
	w := &worker{
		p: p, quiet: make(chan struct{}), pod: shallow(pod), published: pod.Status,
		log:     p.cfg.Log.With("namespace", pod.Namespace, "pod", pod.Name),
		stopped: map[string]bool{}, messages: map[string]string{}, records: map[string]record{}, noted: map[note]bool{}, flights: map[string]*flight{},
		seen: plan.Seen{
			Doing: map[string]time.Time{}, Retry: map[string]time.Time{}, Waiting: map[string]plan.Waiting{},
			Pulls: map[string]plan.Backoff{}, Killed: map[string]time.Time{},
			Limited: volume.Limited(pod),
		},
	}
	if len(pod.Spec.Volumes) == 0 {
		w.seen.Volumes = plan.VolumesMade
	}
	for _, s := range sandboxes {
		w.sandboxes = append(w.sandboxes, s.ID)
	}
	w.inbox.timer = time.AfterFunc(time.Hour, w.inbox.look)
	w.inbox.timer.Stop()
	return w
}

// shallow is a Pod that shares everything with the store's but the struct itself.
func shallow(pod *v1.Pod) *v1.Pod {
	own := *pod
	return &own
}

// run steps until there is nothing to look at, and tells whether it was for the last time.
func (w *worker) run(ctx context.Context) (over bool) {
	for !w.over {
		if ctx.Err() != nil {
			w.inbox.close()
			return false
		}
		m, ok := w.inbox.take()
		if !ok {
			return false
		}
		w.inbox.timer.Stop()
		w.read(m)
		if wake := w.step(ctx); !wake.IsZero() {
			w.inbox.timer.Reset(max(time.Until(wake), 0))
		}
	}
	w.inbox.close()
	return true
}

// read takes in what has come.
func (w *worker) read(m mail) {
	if m.pod != nil && m.pod.UID == w.pod.UID {
		w.object(m.pod)
	}
	for _, r := range m.results {
		w.landed(r)
	}
	for _, ev := range m.stalled {
		w.stalled(ev)
	}
	if !m.gone {
		return
	}
	if w.finished {
		w.over = true
		return
	}
	w.seen.Orphan = true
	w.seen.Retry = map[string]time.Time{}
}

// object takes a value of the store's, unless it is older than what is known.
func (w *worker) object(pod *v1.Pod) {
	version := store.VersionOf(pod)
	if version <= w.version {
		return
	}
	if w.version != 0 && pod.Generation != w.pod.Generation {
		// The spec changed: what could not start before may start now.
		for key := range w.seen.Retry {
			delete(w.seen.Retry, key)
		}
	}
	first := w.version == 0
	w.version, w.published = version, pod.Status
	own := shallow(pod)
	if !first {
		own.Status = w.pod.Status
		own.Status.Conditions = mergeConditions(w.pod.Status.Conditions, pod.Status.Conditions)
	}
	w.pod = own
}

// mergeConditions takes our conditions from the one list, and those of others from the other.
func mergeConditions(ours, theirs []v1.PodCondition) []v1.PodCondition {
	list := make([]v1.PodCondition, 0, len(ours)) // seldom are there others'
	for _, c := range theirs {
		if !status.Ours(c.Type) {
			list = append(list, c)
		}
	}
	for _, c := range ours {
		if status.Ours(c.Type) {
			list = append(list, c)
		}
	}
	return list
}

// step looks, decides, sets things going, and tells the store. It returns when to step again at the latest.
func (w *worker) step(ctx context.Context) time.Time {
	if w.over {
		return time.Time{}
	}
	w.seen.Draining = time.Duration(w.p.draining.Load())
	w.look(ctx)
	w.judge()
	if w.finished {
		w.tell()
		return time.Time{}
	}
	if plan.Over(w.pod, &w.seen) || w.seen.Draining != 0 {
		w.abandonStarts()
	}
	actions, wake := plan.Next(w.pod, w.seen, time.Now())
	if len(actions) > 0 && actions[len(actions)-1].Kind == plan.Finish {
		w.tell() // the last that is said of it is how it ended
	}
	waits := false
	var removals []plan.Action
	for _, a := range actions {
		switch a.Kind {
		case plan.RemoveContainer:
			removals = append(removals, a)
		case plan.Wait:
			if !waits {
				w.tell() // first how the container ended, then why it waits
			}
			w.wait(a)
			waits = true
		case plan.Note:
			w.note(a)
		default:
			w.set(ctx, a)
		}
	}
	if waits {
		w.judge()
	}
	w.tell()
	for _, a := range removals {
		w.set(ctx, a) // only now: what the status named until here had a log for those who asked for it
	}
	w.drained()
	return wake
}

// judge computes the status.
func (w *worker) judge() {
	s := status.Of(w.pod, &w.seen, w.p.addresses(), time.Now())
	if s.Reason == "DeadlineExceeded" && w.pod.Status.Reason != s.Reason {
		w.event("", v1.EventTypeNormal, s.Reason, s.Message)
	}
	w.pod.Status = s
}

// tell writes the status if it says anything new.
func (w *worker) tell() {
	if w.seen.Orphan {
		return
	}
	public := status.Publish(w.pod, &w.published, w.pod.Status, w.seen.Stopped())
	if equality.Semantic.DeepEqual(public, w.published) {
		return
	}
	var opts []store.Option
	if !worthKeeping(&w.published, &public) {
		opts = append(opts, store.Lazy)
	}
	stored, _, err := store.Update(w.p.cfg.Store, w.pod.Namespace, w.pod.Name, func(current *v1.Pod) (*v1.Pod, error) {
		if current.UID != w.pod.UID {
			return nil, errReplaced
		}
		next := shallow(current)
		next.Status = public // a copy of ours that nobody changes
		next.Status.Conditions = mergeConditions(public.Conditions, current.Status.Conditions)
		return next, nil
	}, opts...)
	switch {
	case apierrors.IsNotFound(err), errors.Is(err, errReplaced):
		// The watch will say so, too.
	case err != nil:
		w.log.Warn("a Pod's status is not written", "err", err)
	default:
		w.object(stored)
	}
}

var errReplaced = errors.New("another Pod has the name")

// worthKeeping tells whether a status says something that could not be found again after a power cut: how a container ended,
// or that the Pod did.
func worthKeeping(before, now *v1.PodStatus) bool {
	if podutil.IsPodPhaseTerminal(now.Phase) {
		return true
	}
	ended := func(s *v1.PodStatus) (n int32) {
		for _, list := range [][]v1.ContainerStatus{s.ContainerStatuses, s.InitContainerStatuses} {
			for i := range list {
				n += list[i].RestartCount
				if list[i].State.Terminated != nil {
					n++
				}
			}
		}
		return n
	}
	return ended(now) > ended(before)
}

// event records one about the Pod, or one of its containers.
func (w *worker) event(container, kind, reason, message string) {
	if w.seen.Orphan {
		return
	}
	recordEvent(w.p, w.pod, container, kind, reason, message)
}
