package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/store"
)

// Images is what of the image store clients can see and change.
type Images interface {
	List(ctx context.Context) ([]image.Image, error)
	Get(ctx context.Context, ref string) (image.Image, error)
	Pull(ctx context.Context, ref string, o image.PullOptions) (image.Image, error)
	Load(ctx context.Context, archive io.Reader) ([]image.Image, error)
	Remove(ctx context.Context, ref string) error
}

// System is the daemon as a whole.
type System interface {
	Info(ctx context.Context) (v1alpha1.Info, error)
	// Check looks for what has no owner, or stands in Hull's way; with repair it removes what it may.
	Check(ctx context.Context, repair bool) ([]v1alpha1.Finding, error)
	// Stop begins the end of the daemon and returns; answers that are under way still go out.
	Stop(ctx context.Context) error
	// Drain ends what runs of all Pods, and starts nothing any more; their objects stay. No container has longer than patience.
	Drain(ctx context.Context, patience time.Duration) error
}

// own serves Hull's own verbs.
type own struct{ *Server }

func wireImage(im image.Image) v1alpha1.Image {
	c := im.Config
	out := v1alpha1.Image{
		Meta: v1alpha1.Of("Image"),
		ID:   im.ID, Names: im.Names, Digests: im.Digests, Size: im.Size, Platform: im.Platform,
		CreatedAt: instant(im.CreatedAt), PulledAt: instant(im.PulledAt),
		Config: v1alpha1.ImageConfig{
			User: c.User, Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd, WorkingDir: c.WorkingDir,
			StopSignal: c.StopSignal, Volumes: c.Volumes, ExposedPorts: c.ExposedPorts, Labels: c.Labels,
		},
	}
	return out
}

// instant is a time that may be unknown.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func imageList(images []image.Image) v1alpha1.ImageList {
	list := v1alpha1.ImageList{Meta: v1alpha1.Of("ImageList"), Items: []v1alpha1.Image{}}
	for _, im := range images {
		list.Items = append(list.Items, wireImage(im))
	}
	return list
}

func (s own) listImages(w http.ResponseWriter, r *http.Request) error {
	images, err := s.cfg.Images.List(r.Context())
	if err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, imageList(images))
	return nil
}

func (s own) getImage(w http.ResponseWriter, r *http.Request) error {
	im, err := s.cfg.Images.Get(r.Context(), r.PathValue("ref"))
	if err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, wireImage(im))
	return nil
}

func (s own) removeImage(w http.ResponseWriter, r *http.Request) error {
	im, err := s.cfg.Images.Get(r.Context(), r.PathValue("ref"))
	if err != nil {
		return err
	}
	if err := s.cfg.Images.Remove(r.Context(), r.PathValue("ref")); err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, wireImage(im))
	return nil
}

// pullImage answers with a line of JSON for each step. The code is 200 even if the pull fails later: the last line tells.
func (s own) pullImage(w http.ResponseWriter, r *http.Request) error {
	data, err := readBody(r)
	if err != nil {
		return err
	}
	var req v1alpha1.PullRequest
	if err := unmarshalStrict(data, &req); err != nil {
		return badRequest(fmt.Sprintf("decode the request to pull: %v", err))
	}
	if req.Image == "" {
		return badRequest("image: Required value")
	}
	if req.Password != "" && req.Username == "" {
		return badRequest("username: Required value: a password needs one")
	}
	o := image.PullOptions{}
	if req.Username != "" || req.IdentityToken != "" {
		o.Credentials = &image.Credentials{Username: req.Username, Password: req.Password, IdentityToken: req.IdentityToken}
	}
	ctx, cancel := s.until(r.Context())
	defer cancel()
	out := json.NewEncoder(&flusher{w: w, c: http.NewResponseController(w)})
	// A line that cannot be sent means that the client has gone, and then ctx ends the pull.
	o.Progress = func(p image.Progress) { _ = out.Encode(v1alpha1.PullEvent{Progress: wireProgress(p)}) }
	w.Header().Set("Content-Type", typeJSON)
	im, err := s.cfg.Images.Pull(ctx, req.Image, o)
	last := v1alpha1.PullEvent{}
	if err != nil {
		st := statusOf(err)
		last.Error = &v1alpha1.Error{Code: st.Code, Reason: string(st.Reason), Message: st.Message}
	} else {
		wire := wireImage(im)
		last.Image = &wire
	}
	_ = out.Encode(last)
	return nil
}

func wireProgress(p image.Progress) *v1alpha1.Progress {
	out := &v1alpha1.Progress{Ref: p.Ref, Digest: p.Digest}
	for _, l := range p.Layers {
		out.Layers = append(out.Layers, v1alpha1.Layer{Digest: l.Digest, State: string(l.State), Done: l.Done, Size: l.Size})
	}
	return out
}

// loadImages takes an archive as the body, of any size.
func (s own) loadImages(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := s.until(r.Context())
	defer cancel()
	images, err := s.cfg.Images.Load(ctx, r.Body)
	if err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, imageList(images))
	return nil
}

func (s own) info(w http.ResponseWriter, r *http.Request) error {
	info, err := s.cfg.System.Info(r.Context())
	if err != nil {
		return err
	}
	info.Meta = v1alpha1.Of("Info")
	s.write(w, r, http.StatusOK, info)
	return nil
}

func (s own) check(w http.ResponseWriter, r *http.Request) error {
	findings, err := s.cfg.System.Check(r.Context(), r.URL.Query().Get("repair") == "true")
	if err != nil {
		return err
	}
	if findings == nil {
		findings = []v1alpha1.Finding{}
	}
	s.write(w, r, http.StatusOK, v1alpha1.CheckReport{Meta: v1alpha1.Of("CheckReport"), Findings: findings})
	return nil
}

// stop ends the daemon. While Pods run it refuses, unless it shall delete them, or end what runs of them; then it waits for that.
func (s own) stop(w http.ResponseWriter, r *http.Request) error {
	pods, version, err := store.List[*corev1.Pod](s.cfg.Store, "", nil)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	if q.Get("deletePods") == "true" {
		if err := s.deletePods(r.Context(), pods, version); err != nil {
			return err
		}
	} else if q.Get("endPods") == "true" {
		if err := s.endPods(r.Context(), q.Get("within")); err != nil {
			return err
		}
	} else if n := countRunning(pods); n > 0 {
		return apierrors.NewConflict(schema.GroupResource{Group: v1alpha1.Group, Resource: "system"}, "hull",
			fmt.Errorf("%d of %d Pods have not ended: delete them first, or let the stop do it (--delete-pods)", n, len(pods)))
	}
	if err := s.cfg.System.Stop(context.WithoutCancel(r.Context())); err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess, Code: http.StatusOK,
	})
	return nil
}

// endPods ends what runs of all Pods. That is gone on with when the client has gone, and so is the stop that it was for.
func (s own) endPods(ctx context.Context, within string) error {
	patience := time.Duration(math.MaxInt64)
	if within != "" {
		var err error
		if patience, err = time.ParseDuration(within); err != nil || patience <= 0 {
			return badRequest(fmt.Sprintf("within: %q is no duration above 0", within))
		}
	}
	ctx, cancel := s.until(context.WithoutCancel(ctx))
	defer cancel()
	return s.cfg.System.Drain(ctx, patience)
}

func countRunning(pods []*corev1.Pod) (n int) {
	for _, p := range pods {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			n++
		}
	}
	return n
}

// deletePods deletes Pods and waits for the last one.
func (s own) deletePods(ctx context.Context, pods []*corev1.Pod, version uint64) error {
	ctx, cancel := s.until(ctx)
	defer cancel()
	left := map[string]bool{}
	for _, p := range pods {
		left[string(p.UID)] = true
	}
	events, err := s.cfg.Store.Watch(ctx, store.WatchOptions{Resource: "pods", Since: version, Settled: true})
	if err != nil {
		return err
	}
	for _, p := range pods {
		_, _, err := objects{s.Server, s.resources[0]}.delete(store.KeyOf[*corev1.Pod](p.Namespace, p.Name), &metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(p.UID))})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return err
		}
	}
	for len(left) > 0 {
		ev, ok := <-events
		switch {
		case !ok:
			return fmt.Errorf("wait for %d Pods to go: %w", len(left), context.Cause(ctx))
		case ev.Type == watch.Deleted:
			delete(left, string(ev.Object.(*corev1.Pod).UID))
		case ev.Type == watch.Error:
			return apierrors.FromObject(ev.Object)
		}
	}
	return nil
}
