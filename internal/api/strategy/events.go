package strategy

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/hull-pods/hull/internal/store"
)

// Events is the strategy of Events: the daemon writes them, clients read and delete.
func Events() *Strategy {
	return &Strategy{
		Resource: "events", Singular: "event", Kind: corev1.SchemeGroupVersion.WithKind("Event"), ShortNames: []string{"ev"},
		New: func() store.Object { return &corev1.Event{} },
		List: func(items []store.Object, version string) runtime.Object {
			list := &corev1.EventList{
				TypeMeta: metav1.TypeMeta{Kind: "EventList", APIVersion: "v1"},
				ListMeta: metav1.ListMeta{ResourceVersion: version},
				Items:    make([]corev1.Event, len(items)),
			}
			for i, obj := range items {
				list.Items[i] = *obj.(*corev1.Event)
				list.Items[i].TypeMeta = metav1.TypeMeta{}
			}
			return list
		},
		Fields: eventFields,
	}
}

func eventFields(obj store.Object) fields.Set {
	e := obj.(*corev1.Event)
	return fields.Set{
		"metadata.name":                  e.Name,
		"metadata.namespace":             e.Namespace,
		"involvedObject.kind":            e.InvolvedObject.Kind,
		"involvedObject.namespace":       e.InvolvedObject.Namespace,
		"involvedObject.name":            e.InvolvedObject.Name,
		"involvedObject.uid":             string(e.InvolvedObject.UID),
		"involvedObject.apiVersion":      e.InvolvedObject.APIVersion,
		"involvedObject.resourceVersion": e.InvolvedObject.ResourceVersion,
		"involvedObject.fieldPath":       e.InvolvedObject.FieldPath,
		"reason":                         e.Reason,
		"reportingComponent":             e.ReportingController,
		"source":                         cmp.Or(e.Source.Component, e.ReportingController),
		"type":                           e.Type,
	}
}
