// Package strategy is what the API server does to an object between the request and the store: defaults, what the server
// sets itself, validation, what an update may change, what a deletion means, what a selector can see.
//
// It speaks for Kubernetes wherever Kubernetes has an answer: the defaults, the validation and their words are those of
// its own packages; the order of the steps is that of its registries. Everything here is a function from values to values:
// no request, no store, no clock but the one that is handed in.
package strategy

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kubernetes/pkg/apis/core"
	defaults "k8s.io/kubernetes/pkg/apis/core/v1"

	"github.com/hull-pods/hull/internal/store"
)

// Strategy is what is particular to one resource. A nil function is a verb that the resource does not have.
type Strategy struct {
	Resource   string
	Singular   string
	Kind       schema.GroupVersionKind
	ShortNames []string
	Categories []string

	// New returns an empty object; List wraps objects in their list.
	New  func() store.Object
	List func(items []store.Object, version string) runtime.Object

	// Fields is what a field selector sees of an object.
	Fields func(store.Object) fields.Set

	// Create makes of a defaulted object what is to be stored, or says what is wrong with it. The object is its own.
	Create func(obj store.Object) (warnings []string, err error)
	// Update and UpdateStatus do the same for an object that shall take the place of old.
	Update       func(obj, old store.Object) (warnings []string, err error)
	UpdateStatus func(obj, old store.Object) (warnings []string, err error)
	// Grace is the grace period of a deletion, in seconds; asked is what the request wants, if anything. Nil: objects of the
	// resource go at once.
	Grace func(obj store.Object, asked *int64) int64
}

// GroupResource is how errors name the resource.
func (s *Strategy) GroupResource() schema.GroupResource {
	return schema.GroupResource{Group: s.Kind.Group, Resource: s.Resource}
}

// NewScheme makes the scheme of everything that is spoken here: core v1, its internal form, the conversions and defaults
// between them, and the options of requests.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, defaults.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("build the scheme: %w", err)
		}
	}
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	return scheme, nil
}

// Convert makes the internal form of a v1 object. It shares what it can with the original, so it is as immutable.
func Convert[T any](scheme *runtime.Scheme, obj runtime.Object) (*T, error) {
	out := new(T)
	if err := scheme.Convert(obj, out, nil); err != nil {
		return nil, fmt.Errorf("convert a %T: %w", obj, err)
	}
	return out, nil
}

// second rounds an instant to the precision that objects have.
func second(t time.Time) metav1.Time { return metav1.Unix(t.Unix(), 0) }
