package api

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hull-pods/hull/internal/api/strategy"
	"github.com/hull-pods/hull/internal/store"
)

// Namespaces are implicit: one is there while something is in it, and default always is. They can be read, so that a client
// that looks finds them, and nothing else.

func namespaceStrategy() *strategy.Strategy {
	return &strategy.Strategy{
		Resource: "namespaces", Singular: "namespace", Kind: corev1.SchemeGroupVersion.WithKind("Namespace"),
		List: func(items []store.Object, version string) runtime.Object {
			list := &corev1.NamespaceList{
				TypeMeta: metav1.TypeMeta{Kind: "NamespaceList", APIVersion: "v1"},
				ListMeta: metav1.ListMeta{ResourceVersion: version}, Items: []corev1.Namespace{},
			}
			for _, obj := range items {
				ns := *obj.(*corev1.Namespace)
				ns.TypeMeta = metav1.TypeMeta{}
				list.Items = append(list.Items, ns)
			}
			return list
		},
		Fields: func(obj store.Object) fields.Set {
			return fields.Set{"metadata.name": obj.GetName(), "status.phase": string(corev1.NamespaceActive)}
		},
	}
}

// namespaces serves them.
type namespaces struct{ objects }

// inUse is every namespace that is there. Each is as old as the oldest thing in it.
func (s namespaces) inUse() ([]*corev1.Namespace, error) {
	since := map[string]time.Time{metav1.NamespaceDefault: s.started}
	for _, st := range s.resources {
		items, _, err := s.cfg.Store.List(st.Resource, "", nil)
		if err != nil {
			return nil, err
		}
		for _, obj := range items {
			created := obj.GetCreationTimestamp().Time
			if old, ok := since[obj.GetNamespace()]; !ok || created.Before(old) {
				since[obj.GetNamespace()] = created
			}
		}
	}
	var out []*corev1.Namespace
	for name, created := range since {
		out = append(out, &corev1.Namespace{
			TypeMeta: metav1.TypeMeta{Kind: "Namespace", APIVersion: "v1"},
			ObjectMeta: metav1.ObjectMeta{
				Name: name, Labels: map[string]string{corev1.LabelMetadataName: name}, CreationTimestamp: metav1.Unix(created.Unix(), 0),
			},
			Status: corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
		})
	}
	slices.SortFunc(out, func(a, b *corev1.Namespace) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func (s namespaces) list(w http.ResponseWriter, r *http.Request) error {
	sel, err := s.selection(r)
	if err != nil {
		return err
	}
	if sel.Watch {
		return apierrors.NewMethodNotSupported(schema.GroupResource{Resource: s.st.Resource}, "watch")
	}
	f, err := s.form(r)
	if err != nil {
		return err
	}
	all, err := s.inUse()
	if err != nil {
		return err
	}
	var items []store.Object
	for _, ns := range all {
		if sel.match == nil || sel.match(ns) {
			items = append(items, ns)
		}
	}
	v, err := f.list(s.st, items, strconv.FormatUint(s.cfg.Store.Version(), 10))
	if err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, v)
	return nil
}

func (s namespaces) get(w http.ResponseWriter, r *http.Request) error {
	all, err := s.inUse()
	if err != nil {
		return err
	}
	for _, ns := range all {
		if ns.Name == r.PathValue("name") {
			return s.answer(w, r, http.StatusOK, ns)
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, r.PathValue("name"))
}
