package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/pod/plan"
	"github.com/hull-pods/hull/internal/pod/spec"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/store"
	"github.com/hull-pods/hull/internal/volume"
)

// startFailure is why a container could not be started. One without a reason was given up because the Pod ends.
type startFailure struct {
	reason, message string
	pulled          string // the image that could not be pulled
	held            bool   // nor was it tried: its back-off is not over
	ran             bool   // the runtime has a record of it, as ended
	id              string // of that
}

func fail(reason string, err error) *startFailure {
	return &startFailure{reason: reason, message: bounded(err.Error())}
}

func (j *job) event(kind, reason, message string) {
	if !j.orphan {
		recordEvent(j.p, j.pod, j.flight.Name, kind, reason, message)
	}
}

// start pulls the image, creates the container and starts it. Everything but the command itself is made beside the starts of
// the Pod's other containers; those come in the order of the spec, each when the one before it has the word to go on, or has failed.
// Whether that one's command could be executed is not waited for: nor do the runtimes below the kubelet.
func (j *job) start(ctx context.Context) *startFailure {
	c := spec.Find(j.pod, j.flight.Name)
	if c == nil {
		return &startFailure{}
	}
	img, failed := j.ensureImage(ctx, c)
	if failed != nil {
		return j.failed(ctx, failed)
	}
	made := j.created
	if made == nil {
		made = j.create(ctx, c, img)
	}
	id, failed := made.id, made.failed
	if failed != nil {
		return j.failed(ctx, failed)
	}
	j.event(v1.EventTypeNormal, eventCreated, "Container created")
	refused, err := j.run(ctx, id)
	if refused {
		// The Pod ends. Nobody has seen the container run.
		if err := j.p.cfg.Containers.RemoveContainer(context.WithoutCancel(ctx), id); err != nil {
			j.p.cfg.Log.Warn("a container that never started is not removed", "container", id, "err", err)
		}
		j.dropTermination(made.termination)
		return &startFailure{}
	}
	if err != nil {
		failed = fail(plan.RunContainerError, err)
		failed.ran, failed.id = true, id
		return j.failed(ctx, failed)
	}
	j.event(v1.EventTypeNormal, eventStarted, "Container started")
	return nil
}

// dropTermination removes the termination file of a container of which there is no record, by which it would be removed.
func (j *job) dropTermination(path string) {
	if path == "" {
		return
	}
	if err := volume.RemoveTerminationFile(path); err != nil {
		j.p.cfg.Log.Warn("a file stays until its Pod is removed", "err", err)
	}
}

// birthLimit is how long a birth may still take when its Pod has ended: it is a matter of milliseconds, unless somebody in the Pod's
// PID namespace has stopped the process.
const birthLimit = time.Second

// run starts a container when its turn has come, and tells whether the Pod has ended before it ran. One that has the word to go on
// is not killed for that, but ends as all do, in its grace period.
func (j *job) run(ctx context.Context, id string) (refused bool, err error) {
	t := turn{p: j.p, saved: store.Created[*v1.Pod](j.p.cfg.Store, j.pod.Namespace, j.pod.Name), after: j.after}
	if t.release, err = j.p.slots.take(ctx, starting); err != nil {
		return true, err
	}
	birth, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(birthLimit, cancel) })()
	err = j.p.cfg.Containers.StartContainer(birth, id, runtime.Turn{
		Await: func(alive context.Context) error { return t.await(ctx, alive) }, Pass: j.flight.pass,
	})
	t.release()
	return t.refused || err != nil && birth.Err() != nil, err
}

// failed tells of a failure, unless the Pod ends: then it is none.
func (j *job) failed(ctx context.Context, f *startFailure) *startFailure {
	if ctx.Err() != nil && !f.ran {
		return &startFailure{}
	}
	said := f.message
	switch f.reason {
	case plan.ErrImagePull, plan.ImagePullBackOff, plan.ErrImageNeverPull, plan.ImageInspectError, plan.InvalidImageName:
		said = f.reason // the message is in an event of its own
	}
	if f.id != "" {
		said = strings.ReplaceAll(said, f.id, j.flight.Name) // so that the same event is the same the next time
	}
	if f.reason != "" && !f.held {
		j.event(v1.EventTypeWarning, eventFailed, "Error: "+said)
	}
	return f
}

// ensureImage finds the container's image, or pulls it, as its policy says.
func (j *job) ensureImage(ctx context.Context, c *v1.Container) (image.Image, *startFailure) {
	if _, err := image.Normalize(c.Image); err != nil {
		message := fmt.Sprintf("Failed to apply default image tag %q: %v", c.Image, err)
		j.event(v1.EventTypeWarning, eventInspectFailed, message)
		return image.Image{}, &startFailure{reason: plan.InvalidImageName, message: message}
	}
	if c.ImagePullPolicy != v1.PullAlways {
		img, err := j.p.cfg.Images.Get(ctx, c.Image)
		switch {
		case err == nil:
			j.event(v1.EventTypeNormal, eventPulled, fmt.Sprintf("Container image %q already present on machine and can be accessed by the pod", c.Image))
			return img, nil
		case !errdefs.IsNotFound(err):
			message := fmt.Sprintf("Failed to inspect image %q: %v", c.Image, err)
			j.event(v1.EventTypeWarning, eventInspectFailed, message)
			return image.Image{}, &startFailure{reason: plan.ImageInspectError, message: message}
		case c.ImagePullPolicy == v1.PullNever:
			message := fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image)
			j.event(v1.EventTypeWarning, eventNeverPull, message)
			return image.Image{}, &startFailure{reason: plan.ErrImageNeverPull, message: message}
		}
	}
	return j.pull(ctx, c)
}

func (j *job) pull(ctx context.Context, c *v1.Container) (image.Image, *startFailure) {
	if time.Now().Before(j.flight.NotBefore) {
		return image.Image{}, &startFailure{reason: plan.ImagePullBackOff, pulled: c.Image, held: true}
	}
	j.event(v1.EventTypeNormal, eventPulling, fmt.Sprintf("Pulling image %q", c.Image))
	began := time.Now()
	img, err := j.p.cfg.Images.Pull(ctx, c.Image, image.PullOptions{})
	if err != nil {
		if ctx.Err() == nil {
			j.event(v1.EventTypeWarning, eventFailed, fmt.Sprintf("Failed to pull image %q: %v", c.Image, err))
		}
		f := fail(plan.ErrImagePull, err)
		f.pulled = c.Image
		return image.Image{}, f
	}
	took := time.Since(began).Truncate(time.Millisecond)
	j.event(v1.EventTypeNormal, eventPulled, fmt.Sprintf("Successfully pulled image %q in %v (%v including waiting). Image size: %d bytes.", c.Image, took, took, img.Size))
	return img, nil
}

// create makes the container.
func (j *job) create(ctx context.Context, c *v1.Container, img image.Image) *created {
	cfg, failed := j.config(c, img)
	if failed != nil {
		return &created{failed: failed}
	}
	release, err := j.p.slots.take(ctx, creating)
	if err != nil {
		closeMounts(cfg.Mounts)
		j.dropTermination(spec.ReadNotes(&cfg).Termination)
		return &created{failed: &startFailure{}}
	}
	defer release()
	return j.createFrom(ctx, cfg)
}

// createFrom makes it in a sandbox that there is, or will be.
func (j *job) createFrom(ctx context.Context, cfg runtime.ContainerConfig) *created {
	st, err := j.p.cfg.Containers.CreateContainer(context.WithoutCancel(ctx), j.sandbox, cfg) // takes the mounts' files
	termination := spec.ReadNotes(&cfg).Termination
	if err != nil {
		j.dropTermination(termination)
		return &created{failed: fail(plan.CreateError, err)}
	}
	return &created{id: st.ID, termination: termination}
}

// config is what the container is made of, with everything that it mounts.
func (j *job) config(c *v1.Container, img image.Image) (runtime.ContainerConfig, *startFailure) {
	run := spec.Run{Attempt: j.flight.Attempt, Backoff: j.flight.Backoff, Image: img}
	dir := j.p.cfg.Options.LogDirectory(j.pod)
	if j.fresh {
		run.Attempt = attemptByLogs(filepath.Join(dir, c.Name))
	}
	mounts, termination, err := j.mounts(c)
	if no := (*volume.PropagationError)(nil); errors.As(err, &no) {
		return runtime.ContainerConfig{}, fail(plan.CreateError, err) // a runtime's to say, in a cluster
	}
	if err != nil {
		return runtime.ContainerConfig{}, fail(plan.CreateConfigError, err)
	}
	run.Mounts, run.Termination = mounts, termination
	cfg, err := spec.Container(j.pod, c, run, &j.p.cfg.Options)
	if err == nil {
		if err = os.MkdirAll(filepath.Join(dir, c.Name), 0o755); err != nil {
			err = fmt.Errorf("create container log directory for container %s failed: %w", c.Name, err)
		}
	}
	if err != nil {
		closeMounts(mounts)
		j.dropTermination(termination)
		return runtime.ContainerConfig{}, fail(plan.CreateConfigError, err)
	}
	return cfg, nil
}

// mounts opens what the container mounts: its volumes, and the file for its termination message.
func (j *job) mounts(c *v1.Container) (_ []runtime.Mount, termination string, _ error) {
	list, err := j.p.cfg.Volumes.Mounts(j.pod, c)
	if err != nil {
		return nil, "", err
	}
	mounts := make([]runtime.Mount, 0, len(list)+1)
	for _, m := range list {
		mounts = append(mounts, runtime.Mount{
			File: m.File, Destination: m.Destination, ReadOnly: m.ReadOnly, RecursiveRO: m.RecursiveReadOnly, Propagation: m.Propagation,
		})
	}
	if c.TerminationMessagePath == "" {
		return mounts, "", nil
	}
	f, err := j.p.cfg.Volumes.TerminationFile(j.pod.UID, c.Name)
	if err != nil {
		closeMounts(mounts)
		return nil, "", err
	}
	path := c.TerminationMessagePath
	if !filepath.IsAbs(path) {
		path = "/" + path
	}
	return append(mounts, runtime.Mount{File: f, Destination: path}), f.Name(), nil
}

func closeMounts(mounts []runtime.Mount) {
	for _, m := range mounts {
		if m.File != nil {
			_ = m.File.Close()
		}
	}
}

// attemptByLogs finds out how often a container ran of which no record is left, by the logs that it wrote: those of the
// next run must not be mixed up with them.
func attemptByLogs(dir string) uint32 {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	next := uint32(0)
	for _, e := range entries {
		number, _, ok := strings.Cut(e.Name(), ".log")
		n, err := strconv.ParseUint(number, 10, 31)
		if ok && err == nil && !e.IsDir() {
			next = max(next, uint32(n)+1)
		}
	}
	return next
}

// removeLog removes a container's log, and what was rotated away from it.
func removeLog(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove log: %w", err)
	}
	for _, e := range entries {
		if name := filepath.Base(path); e.Name() != name && !strings.HasPrefix(e.Name(), name+".") {
			continue
		}
		if err := os.Remove(filepath.Join(filepath.Dir(path), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove log: %w", err)
		}
	}
	return nil
}
