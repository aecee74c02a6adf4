package api

import (
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/printers"

	"github.com/hull-pods/hull/internal/api/strategy"
	"github.com/hull-pods/hull/internal/store"
)

// form is what a client wants objects to look like: as they are, as rows of a table with the columns of kubectl, or their
// metadata alone.
type form struct {
	s         *Server
	accept    accept
	options   metav1.TableOptions
	noHeaders bool // the columns were sent before, in the same watch
}

// form reads what a request wants.
func (s *Server) form(r *http.Request) (*form, error) {
	a, err := negotiate(r)
	if err != nil {
		return nil, err
	}
	f := &form{s: s, accept: a}
	if a.as != "Table" {
		return f, nil
	}
	if err := options(r, &f.options); err != nil {
		return nil, err
	}
	switch errs := validation.ValidateTableOptions(&f.options); len(errs) {
	case 0:
		return f, nil
	case 1:
		return nil, badRequest(fmt.Sprintf("Unable to convert to Table as requested: %v", errs[0].Error()))
	default:
		return nil, badRequest(fmt.Sprintf("Unable to convert to Table as requested: %v", errs))
	}
}

// object is one object in this form.
func (f *form) object(obj store.Object) (any, error) {
	switch f.accept.as {
	case "Table":
		return f.table(obj, []store.Object{obj})
	case "PartialObjectMetadata", "PartialObjectMetadataList":
		return partial(obj, f.accept.version), nil
	}
	return obj, nil
}

// list is a list of objects in this form.
func (f *form) list(st *strategy.Strategy, items []store.Object, version string) (any, error) {
	whole := st.List(items, version)
	switch f.accept.as {
	case "Table":
		return f.table(whole, items)
	case "PartialObjectMetadata", "PartialObjectMetadataList":
		out := &metav1.PartialObjectMetadataList{
			TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadataList", APIVersion: metav1.GroupName + "/" + f.accept.version},
			ListMeta: metav1.ListMeta{ResourceVersion: version},
			Items:    []metav1.PartialObjectMetadata{},
		}
		for _, obj := range items {
			out.Items = append(out.Items, *partial(obj, f.accept.version))
		}
		return out, nil
	}
	return whole, nil
}

// table prints objects (one, or a list of them) by Kubernetes' printers, with every column: kubectl shows those of
// priority 1 for -o wide alone.
func (f *form) table(of runtime.Object, items []store.Object) (*metav1.Table, error) {
	internal, err := f.s.internal(of)
	if err != nil {
		return nil, err
	}
	t, err := f.s.tables.GenerateTable(internal, printers.GenerateOptions{Wide: true, NoHeaders: f.options.NoHeaders || f.noHeaders})
	if err != nil {
		return nil, fmt.Errorf("print a table: %w", err)
	}
	f.noHeaders = true
	t.TypeMeta = metav1.TypeMeta{Kind: "Table", APIVersion: metav1.GroupName + "/" + f.accept.version}
	if t.Rows == nil {
		t.Rows = []metav1.TableRow{}
	}
	if len(t.Rows) != len(items) {
		return nil, fmt.Errorf("print a table: %d rows for %d objects", len(t.Rows), len(items))
	}
	for i := range t.Rows {
		switch f.options.IncludeObject {
		case metav1.IncludeNone:
			t.Rows[i].Object = runtime.RawExtension{}
		case metav1.IncludeObject:
			t.Rows[i].Object = runtime.RawExtension{Object: items[i]}
		default:
			t.Rows[i].Object = runtime.RawExtension{Object: partial(items[i], f.accept.version)}
		}
	}
	return t, nil
}

// partial is an object's metadata as an object.
func partial(obj store.Object, version string) *metav1.PartialObjectMetadata {
	out := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadata", APIVersion: metav1.GroupName + "/" + version}}
	switch obj := obj.(type) {
	case *corev1.Pod:
		out.ObjectMeta = obj.ObjectMeta
	case *corev1.Event:
		out.ObjectMeta = obj.ObjectMeta
	case *corev1.Namespace:
		out.ObjectMeta = obj.ObjectMeta
	}
	return out
}

// internal is the form that the printers read.
func (s *Server) internal(obj runtime.Object) (runtime.Object, error) {
	switch obj := obj.(type) {
	case *corev1.Pod:
		return strategy.Convert[core.Pod](s.scheme, obj)
	case *corev1.PodList:
		return strategy.Convert[core.PodList](s.scheme, obj)
	case *corev1.Event:
		return strategy.Convert[core.Event](s.scheme, obj)
	case *corev1.EventList:
		return strategy.Convert[core.EventList](s.scheme, obj)
	case *corev1.Namespace:
		return strategy.Convert[core.Namespace](s.scheme, obj)
	case *corev1.NamespaceList:
		return strategy.Convert[core.NamespaceList](s.scheme, obj)
	}
	return nil, fmt.Errorf("nobody prints a %s", strings.TrimPrefix(fmt.Sprintf("%T", obj), "*"))
}
