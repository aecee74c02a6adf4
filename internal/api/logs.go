package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"

	"github.com/hull-pods/hull/internal/store"
)

// logs answers with a container's output as text, and with ?follow goes on until the container ends or the client goes.
func (s streams) logs(w http.ResponseWriter, r *http.Request) error {
	o, id, err := s.logRequest(r)
	if err != nil {
		return err
	}
	ctx, cancel := s.until(r.Context())
	defer cancel()
	out := &flusher{w: w, c: http.NewResponseController(w)}
	stdout, stderr := io.Writer(out), io.Writer(out)
	switch *o.Stream {
	case corev1.LogStreamStdout:
		stderr = nil
	case corev1.LogStreamStderr:
		stdout = nil
	}
	w.Header().Set("Content-Type", "text/plain")
	if o.Follow {
		// The client learns at once that its request stands, even if the container never says a word.
		if err := out.begin(); err != nil {
			return nil
		}
	}
	err = s.cfg.Runtime.Logs(ctx, id, logOptions(o, time.Now()), stdout, stderr)
	switch {
	case err == nil:
		return out.begin()
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return nil
	case out.begun:
		return errors.Join(errBegun, err)
	}
	w.Header().Del("Content-Type")
	return err
}

// logRequest is what a request for a log wants, and the ID of the container whose log it is.
func (s streams) logRequest(r *http.Request) (*corev1.PodLogOptions, string, error) {
	var o corev1.PodLogOptions
	if err := s.params.DecodeParameters(r.URL.Query(), corev1.SchemeGroupVersion, &o); err != nil {
		return nil, "", badRequest(err.Error())
	}
	if o.Stream == nil {
		all := corev1.LogStreamAll
		o.Stream = &all
	}
	var internal core.PodLogOptions
	if err := s.scheme.Convert(&o, &internal, nil); err != nil {
		return nil, "", err
	}
	if errs := validation.ValidatePodLogOptions(&internal, true); len(errs) > 0 {
		return nil, "", apierrors.NewInvalid(core.Kind("PodLogOptions"), r.PathValue("name"), errs)
	}
	pod, err := store.Get[*corev1.Pod](s.cfg.Store, r.PathValue("namespace"), r.PathValue("name"))
	if err != nil {
		return nil, "", err
	}
	container, err := containerOf(pod, o.Container)
	if err != nil {
		return nil, "", err
	}
	id, err := logged(pod, container, o.Previous)
	return &o, id, err
}

// logOptions are a request's options in the words of the log reader.
func logOptions(o *corev1.PodLogOptions, now time.Time) LogOptions {
	out := LogOptions{Follow: o.Follow, Timestamps: o.Timestamps, Tail: -1}
	if o.TailLines != nil {
		out.Tail = *o.TailLines
	}
	if o.LimitBytes != nil {
		out.Limit = *o.LimitBytes
	}
	if o.SinceTime != nil {
		out.Since = o.SinceTime.Time
	}
	if o.SinceSeconds != nil {
		out.Since = now.Add(-time.Duration(*o.SinceSeconds) * time.Second)
	}
	return out
}

// flusher sends what is written at once. Two streams may write to it.
type flusher struct {
	mu    sync.Mutex
	w     http.ResponseWriter
	c     *http.ResponseController
	begun bool
}

func (f *flusher) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begun = true
	n, err := f.w.Write(b)
	if err != nil {
		return n, err
	}
	return n, f.c.Flush()
}

// begin sends the header if nothing was sent yet.
func (f *flusher) begin() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begun {
		return nil
	}
	f.begun = true
	f.w.WriteHeader(http.StatusOK)
	return f.c.Flush()
}
