package store

import (
	"cmp"
	"slices"
	"strconv"
)

// table holds the objects of one resource. The store's mutex guards it.
type table struct {
	kind
	objects map[string]map[string]Object // namespace → name → object
	history history
}

func newTable(k kind) *table {
	return &table{kind: k, objects: map[string]map[string]Object{}, history: history{keep: k.keep, wake: make(chan struct{})}}
}

func (t *table) get(namespace, name string) Object { return t.objects[namespace][name] }

func (t *table) put(obj Object) {
	ns := t.objects[obj.GetNamespace()]
	if ns == nil {
		ns = map[string]Object{}
		t.objects[obj.GetNamespace()] = ns
	}
	ns[obj.GetName()] = obj
}

func (t *table) remove(namespace, name string) {
	delete(t.objects[namespace], name)
	if len(t.objects[namespace]) == 0 {
		delete(t.objects, namespace)
	}
}

func (t *table) count() int {
	n := 0
	for _, ns := range t.objects {
		n += len(ns)
	}
	return n
}

// list is every object of a namespace ("" = of all) that matches, in the order of namespace and name.
func (t *table) list(namespace string, match func(Object) bool) []Object {
	var out []Object
	take := func(ns map[string]Object) {
		for _, obj := range ns {
			if match == nil || match(obj) {
				out = append(out, obj)
			}
		}
	}
	if namespace != "" {
		take(t.objects[namespace])
	} else {
		for _, ns := range t.objects {
			take(ns)
		}
	}
	slices.SortFunc(out, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.GetNamespace(), b.GetNamespace()), cmp.Compare(a.GetName(), b.GetName()))
	})
	return out
}

// VersionOf is the resourceVersion of an object as a number.
func VersionOf(obj Object) uint64 {
	v, err := strconv.ParseUint(obj.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0 // never stored
	}
	return v
}
