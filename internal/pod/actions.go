package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/pod/plan"
	"github.com/hull-pods/hull/internal/pod/spec"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/store"
	"github.com/hull-pods/hull/internal/volume"
)

// result is how an action ended. Only what its kind has is filled in.
type result struct {
	flight  *flight
	err     error
	sandbox *runtime.SandboxStatus // RunSandbox
	ahead   map[string]*created    // RunSandbox: of containers, by name
	failed  *startFailure          // Start
	full    string                 // Measure: which volume is too large
}

// job is what an action may know of the Pod: copies, since the worker goes on meanwhile.
type job struct {
	p       *Pods
	pod     *v1.Pod
	orphan  bool
	sandbox string   // the active one
	fresh   bool     // Start: there is no record of the container; RunSandbox: of any
	created *created // Start: what was made ahead
	record  record   // RemoveContainer
	after   <-chan struct{}
	flight  *flight
}

// set sends an action on its way. One of the same key that is under way is given up: it only happens to kills.
func (w *worker) set(ctx context.Context, a plan.Action) {
	key := a.Key()
	if old := w.flights[key]; old != nil {
		old.cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	f := &flight{Action: a, cancel: cancel, began: time.Now()}
	w.flights[key] = f
	w.seen.Doing[key] = time.Time{}
	j := &job{p: w.p, pod: shallow(w.pod), orphan: w.seen.Orphan, flight: f}
	switch a.Kind {
	case plan.Kill:
		w.killing(a, key)
	case plan.RemoveContainer:
		j.record = w.records[a.ID]
	case plan.RunSandbox:
		j.fresh = len(w.seen.Containers) == 0
	case plan.Start:
		j.created = w.takeAhead(a.Name)
		f.tried = make(chan struct{})
		f.pass = sync.OnceFunc(func() { close(f.tried) })
		if before := w.flights[plan.StartKey(a.After)]; a.After != "" && before != nil {
			j.after = before.tried
		}
		j.sandbox, j.fresh = w.seen.Active().ID, w.seen.Newest(a.Name) == nil
	}
	w.p.work.Go(func() {
		defer cancel()
		r := j.carryOut(ctx)
		r.flight = f
		w.inbox.result(r)
		if f.pass != nil {
			f.pass() // last, as Go goes on with whom it woke last: who waits for this has more to do than the worker
		}
	})
}

// killing notes what the plan wants to know of a kill, and tells of it once.
func (w *worker) killing(a plan.Action, key string) {
	now := time.Now()
	w.seen.Doing[key] = now.Add(a.Grace)
	if a.End && w.seen.Ending.IsZero() {
		w.seen.Ending = now
	}
	if _, again := w.seen.Killed[a.ID]; again {
		return
	}
	w.seen.Killed[a.ID] = now
	message := a.Message
	if message == "" {
		message = "Stopping container " + a.Name
	}
	w.event(a.Name, v1.EventTypeNormal, eventKilling, message)
}

// abandonStarts gives up what a Pod that ends no longer needs: images that are being pulled, volumes that are being made.
func (w *worker) abandonStarts() {
	for _, f := range w.flights {
		switch f.Kind {
		case plan.Start, plan.MakeVolumes, plan.RunSandbox, plan.Measure:
			f.cancel()
		}
	}
}

// landed takes in how an action ended.
func (w *worker) landed(r result) {
	f := r.flight
	key := f.Key()
	if w.flights[key] != f {
		return // another one took its place
	}
	delete(w.flights, key)
	delete(w.seen.Doing, key)
	delete(w.seen.Retry, key)
	if r.sandbox != nil {
		w.sandboxes, w.ahead = append(w.sandboxes, r.sandbox.ID), r.ahead
	}
	if f.Kind == plan.Start {
		w.started(f, r.failed)
		return
	}
	if r.err != nil {
		w.failed(f, r.err)
		return
	}
	switch f.Kind {
	case plan.MakeVolumes:
		w.seen.Volumes, w.volumes = plan.VolumesMade, 0
	case plan.RemoveVolumes:
		w.seen.Volumes = plan.VolumesRemoved
	case plan.Measure:
		w.seen.Measured = time.Now()
		if r.full != "" {
			w.seen.Evicted = r.full
			w.event("", v1.EventTypeWarning, "Evicted", r.full)
		}
	case plan.StopSandbox:
		w.stopped[f.ID] = true
	case plan.Finish:
		w.finished = true
		w.over = w.seen.Orphan // else the store will say when the object is gone
	}
}

// failed has an action tried again later, and says why on the object.
func (w *worker) failed(f *flight, err error) {
	w.seen.Retry[f.Key()] = time.Now().Add(plan.RetryAfter)
	if errors.Is(err, context.Canceled) {
		return
	}
	w.log.Warn("an action failed", "action", f.String(), "err", err)
	switch f.Kind {
	case plan.MakeVolumes:
		w.volumes++
		w.seen.Retry[f.Key()] = time.Now().Add(plan.VolumeRetry(w.volumes))
		var ve *volume.Error
		if errors.As(err, &ve) {
			w.event("", v1.EventTypeWarning, eventFailedMount, fmt.Sprintf("MountVolume.SetUp failed for volume %q : %v", ve.Volume, ve.Err))
		} else {
			w.event("", v1.EventTypeWarning, eventFailedMount, fmt.Sprintf("Unable to attach or mount volumes: %v", err))
		}
	case plan.RunSandbox:
		w.event("", v1.EventTypeWarning, eventFailedSandbox, fmt.Sprintf("Failed to create pod sandbox: %v", err))
	case plan.Kill, plan.StopSandbox:
		w.event("", v1.EventTypeWarning, eventFailedKill, fmt.Sprintf("error killing pod: %v", err))
	case plan.RemoveVolumes, plan.RemoveContainer, plan.RemoveSandbox, plan.Finish:
		w.event("", v1.EventTypeWarning, eventFailedRemove, fmt.Sprintf("error removing what has ended: %v", err))
	}
}

// started takes in how an attempt to start a container ended.
func (w *worker) started(f *flight, failed *startFailure) {
	if failed == nil {
		delete(w.seen.Waiting, f.Name)
		return
	}
	now := time.Now()
	w.seen.Retry[f.Key()] = now.Add(plan.RetryAfter)
	if failed.reason == "" {
		return // it was given up
	}
	if failed.pulled != "" {
		b := w.seen.Pulls[failed.pulled]
		if !failed.held && !b.Last.After(f.began) { // two containers that wait for one pull fail once
			b = b.Failed(now)
			w.seen.Pulls[failed.pulled] = b
		}
		// It is looked for again before it is pulled again: somebody may bring it.
		if b.Until().Before(w.seen.Retry[f.Key()]) {
			w.seen.Retry[f.Key()] = b.Until()
		}
	}
	if failed.held {
		return
	}
	w.seen.Waiting[f.Name] = plan.Waiting{Reason: failed.reason, Message: failed.message, At: now}
	if failed.ran {
		// The runtime has it on record as ended; the back-off is that of any container that did.
		delete(w.seen.Retry, f.Key())
	}
}

// carryOut does what an action says.
func (j *job) carryOut(ctx context.Context) (r result) {
	p, a := j.p, &j.flight.Action
	// What began in the kernel is brought to its end, or taken back, whoever loses patience.
	whole := context.WithoutCancel(ctx)
	switch a.Kind {
	case plan.MakeVolumes:
		r.err = p.cfg.Volumes.Make(ctx, j.pod)
	case plan.RemoveVolumes:
		r.err = p.cfg.Volumes.Remove(whole, j.pod.UID)
	case plan.Measure:
		r.full, r.err = p.cfg.Volumes.Exceeded(ctx, j.pod)
	case plan.RunSandbox:
		r.sandbox, r.ahead, r.err = j.runSandbox(ctx)
	case plan.StopSandbox:
		r.err = p.cfg.Sandboxes.StopSandbox(whole, a.ID)
	case plan.RemoveSandbox:
		r.err = p.cfg.Sandboxes.RemoveSandbox(whole, a.ID)
	case plan.Start:
		r.failed = j.start(ctx)
	case plan.Kill:
		r.err = p.cfg.Containers.StopContainer(ctx, a.ID, a.Grace)
	case plan.RemoveContainer:
		r.err = j.removeContainer(whole)
	case plan.Finish:
		r.err = j.finish(whole)
	default:
		r.err = fmt.Errorf("no such action: %s", a)
	}
	return r
}

// makeLogDirs makes the directories of the containers' logs while the sandbox is made, and before them the Pod's own: should hulld
// die here, its object may be lost, and the sandbox with what tells of the Pod is taken back. Each start does it again, and tells
// why it cannot be done.
func (j *job) makeLogDirs() {
	if j.p.cfg.Volumes.Claim(j.pod.UID) != nil {
		return
	}
	dir := j.p.cfg.Options.LogDirectory(j.pod)
	for _, list := range [][]v1.Container{j.pod.Spec.InitContainers, j.pod.Spec.Containers} {
		for i := range list {
			_ = os.MkdirAll(filepath.Join(dir, list[i].Name), 0o755)
		}
	}
}

func (j *job) runSandbox(ctx context.Context) (*runtime.SandboxStatus, map[string]*created, error) {
	cfg, err := spec.Sandbox(j.pod, j.flight.Attempt, &j.p.cfg.Options)
	if err != nil {
		return nil, nil, err
	}
	release, err := j.p.slots.take(ctx, beginning)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	var aside sync.WaitGroup
	defer aside.Wait()
	aside.Go(j.makeLogDirs)
	whole := context.WithoutCancel(ctx)
	made := &ahead{j: j, made: map[string]*created{}}
	s, err := j.p.cfg.Sandboxes.RunSandbox(whole, cfg, func(id string) {
		if j.fresh {
			made.begin(whole, id)
		}
	})
	containers := made.wait()
	if err != nil {
		return nil, nil, err
	}
	j.p.own(s.ID, j.pod.UID)
	for _, warning := range s.Warnings {
		if warning.Reason == runtime.MissingClusterDNS {
			// There is no cluster: nobody needs an event of each Pod to know.
			j.p.cfg.Log.Debug("a Pod's DNS is the host's", "pod", plan.Describe(j.pod), "reason", warning.Message)
			continue
		}
		j.event(v1.EventTypeWarning, warning.Reason, warning.Message)
	}
	j.p.outlook.watch(j.pod)
	return &s, containers, nil
}

// removeContainer removes a dead container's record, with its log and its termination file.
func (j *job) removeContainer(ctx context.Context) error {
	if j.record.termination != "" {
		if err := volume.RemoveTerminationFile(j.record.termination); err != nil {
			return err
		}
	}
	if j.record.log != "" {
		if err := removeLog(j.record.log); err != nil {
			return err
		}
	}
	return j.p.cfg.Containers.RemoveContainer(ctx, j.flight.ID)
}

// finish removes the rest of a Pod of which nothing is left in the kernel, and then its object; it goes at once, or with the
// last of its finalizers.
func (j *job) finish(ctx context.Context) error {
	if err := j.removeLogs(); err != nil {
		return err
	}
	if err := j.p.cfg.Volumes.Forget(ctx, j.pod.UID); err != nil {
		return err
	}
	if j.orphan {
		return nil
	}
	_, _, err := j.p.cfg.Store.Delete(store.KeyOf[*v1.Pod](j.pod.Namespace, j.pod.Name), sameUID(j.pod.UID))
	if apierrors.IsNotFound(err) || errors.Is(err, errReplaced) {
		return nil
	}
	return err
}

// removeLogs comes before the Pod's own directory goes: by that it is found again should hulld die here, when its object may be
// gone already, and its name with it.
func (j *job) removeLogs() error {
	if j.pod.Name != "" {
		// A name that is too long for a directory never had one.
		if err := os.RemoveAll(j.p.cfg.Options.LogDirectory(j.pod)); err != nil && !errors.Is(err, syscall.ENAMETOOLONG) {
			return fmt.Errorf("remove the Pod's logs: %w", err)
		}
		return nil
	}
	root := j.p.cfg.Options.LogRoot
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), "_"+string(j.pod.UID)) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(root, e.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("remove a Pod's logs: %w", err)
	}
	return nil
}

// sameUID objects to a Pod that has only the name of the one that is meant.
func sameUID(uid types.UID) func(store.Object) error {
	return func(current store.Object) error {
		if current.GetUID() != uid {
			return errReplaced
		}
		return nil
	}
}
