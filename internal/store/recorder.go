package store

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Recorder writes Kubernetes Events about objects. The same thing said again raises the count of the Event that said it
// first; many different messages of one reason about one object become one Event that says so. Nobody waits for the disk.
type Recorder struct {
	s      *Store
	source corev1.EventSource
}

const (
	combinedPrefix = "(combined from similar events): "
	messageLimit   = 1024             // bytes of a message, as in events.k8s.io
	similarLimit   = 10               // different messages of one reason about one object …
	similarWithin  = 10 * time.Minute // … within that long, before they are combined
)

// Recorder returns a recorder whose Events name a component (kubelet, …) on a host as their source.
func (s *Store) Recorder(component, host string) *Recorder {
	return &Recorder{s: s, source: corev1.EventSource{Component: component, Host: host}}
}

// Ref is the reference to a Pod in an Event; fieldPath is "" or a part of it, as `spec.containers{web}`.
func Ref(pod *corev1.Pod, fieldPath string) corev1.ObjectReference {
	return corev1.ObjectReference{
		Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID,
		ResourceVersion: pod.ResourceVersion, FieldPath: fieldPath,
	}
}

// Event records one happening. kind is corev1.EventTypeNormal or EventTypeWarning.
func (r *Recorder) Event(about corev1.ObjectReference, kind, reason, message string) {
	if len(message) > messageLimit {
		message = strings.ToValidUTF8(message[:messageLimit-3], "") + "..."
	}
	similar := r.similar(about, kind, reason)
	for _, ev := range similar {
		if ev.Message == message && r.again(ev, message) {
			return
		}
	}
	if len(similar) >= similarLimit {
		message = combinedPrefix + message
		for _, ev := range similar {
			if strings.HasPrefix(ev.Message, combinedPrefix) && r.again(ev, message) {
				return
			}
		}
	}
	r.first(about, kind, reason, message)
}

// similar is the recent Events about the same thing with the same reason, the newest first.
func (r *Recorder) similar(about corev1.ObjectReference, kind, reason string) []*corev1.Event {
	var events []*corev1.Event
	r.s.mu.RLock()
	for _, obj := range r.s.tables["events"].groups[string(about.UID)] {
		ev := obj.(*corev1.Event)
		if ev.InvolvedObject.Name == about.Name && ev.InvolvedObject.FieldPath == about.FieldPath &&
			ev.Reason == reason && ev.Type == kind && ev.Source == r.source {
			events = append(events, ev)
		}
	}
	r.s.mu.RUnlock()
	slices.SortFunc(events, func(a, b *corev1.Event) int { return cmp.Compare(VersionOf(b), VersionOf(a)) })
	horizon := time.Now().Add(-similarWithin)
	return slices.DeleteFunc(events, func(ev *corev1.Event) bool {
		return ev.LastTimestamp.Time.Before(horizon) && ev.Count < 2
	})
}

// again raises the count of an Event; false when it is gone meanwhile.
func (r *Recorder) again(ev *corev1.Event, message string) bool {
	_, _, err := Update(r.s, ev.Namespace, ev.Name, func(current *corev1.Event) (*corev1.Event, error) {
		next := *current
		next.Count++
		next.LastTimestamp = now()
		next.Message = message
		return &next, nil
	}, Lazy)
	if err != nil && !apierrors.IsNotFound(err) {
		r.s.log.Debug("an event is not recorded", "reason", ev.Reason, "error", err)
		return true
	}
	return err == nil
}

func (r *Recorder) first(about corev1.ObjectReference, kind, reason, message string) {
	at := time.Now()
	for n := 0; ; n++ {
		ev := &corev1.Event{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: cmp.Or(about.Namespace, metav1.NamespaceDefault),
				Name:      fmt.Sprintf("%s.%x", about.Name, at.UnixNano()+int64(n)),
			},
			InvolvedObject: about, Type: kind, Reason: reason, Message: message, Source: r.source,
			ReportingController: r.source.Component, ReportingInstance: r.source.Host,
			FirstTimestamp: now(), LastTimestamp: now(), Count: 1,
		}
		_, _, err := r.s.Create(ev, Lazy)
		if apierrors.IsAlreadyExists(err) {
			continue // another one in the same nanosecond
		}
		if err != nil {
			r.s.log.Debug("an event is not recorded", "reason", reason, "error", err)
		}
		return
	}
}
