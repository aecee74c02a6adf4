package store

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is what the store knows about one resource.
type kind struct {
	resource string
	gvk      schema.GroupVersionKind
	make     func() Object

	generation bool          // objects count the changes of their spec
	lazy       bool          // nobody waits for it: written when convenient
	ttl        time.Duration // objects vanish that long after they were last written; 0 = never
	limit      int           // how many are kept, the oldest go first; 0 = no limit
	keep       int           // how many past writes a watch can ask for

	group func(Object) string // objects are also found by this; nil = not
}

// kinds is the table of what can be stored. A new resource is one entry.
func kinds() []kind {
	return []kind{
		{
			resource: "pods", gvk: corev1.SchemeGroupVersion.WithKind("Pod"), make: func() Object { return &corev1.Pod{} },
			generation: true, keep: 2048,
		},
		{
			// An hour, as in Kubernetes (kube-apiserver --event-ttl).
			resource: "events", gvk: corev1.SchemeGroupVersion.WithKind("Event"), make: func() Object { return &corev1.Event{} },
			lazy: true, ttl: time.Hour, limit: 4096, keep: 512,
			group: func(obj Object) string { return string(obj.(*corev1.Event).InvolvedObject.UID) },
		},
	}
}

// resourceOf is the resource that a value belongs to, by its Go type.
func resourceOf(obj Object) string {
	switch obj.(type) {
	case *corev1.Pod:
		return "pods"
	case *corev1.Event:
		return "events"
	}
	return ""
}

// groupResource is how errors name a resource.
func (k kind) groupResource() schema.GroupResource {
	return schema.GroupResource{Group: k.gvk.Group, Resource: k.resource}
}

// recordFormat is the first byte of every record.
const recordFormat = 1

type protobuf interface {
	Marshal() ([]byte, error)
	Unmarshal([]byte) error
}

// encode makes the record of an object.
func encode(obj Object) ([]byte, error) {
	m, ok := obj.(protobuf)
	if !ok {
		return nil, fmt.Errorf("%T has no protobuf encoding", obj)
	}
	b, err := m.Marshal()
	if err != nil {
		return nil, err
	}
	return append([]byte{recordFormat}, b...), nil
}

// decode reads a record. The bytes are not kept.
func (k kind) decode(record []byte) (Object, error) {
	if len(record) == 0 || record[0] != recordFormat {
		return nil, fmt.Errorf("record format %x is not known to this version of Hull", record[:min(1, len(record))])
	}
	obj := k.make()
	if err := obj.(protobuf).Unmarshal(record[1:]); err != nil {
		return nil, err
	}
	obj.GetObjectKind().SetGroupVersionKind(k.gvk)
	return obj, nil
}
