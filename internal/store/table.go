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
	groups  map[string]map[Key]Object    // by kind.group
	history history
	watches map[*watcher]struct{}
}

func newTable(k kind) *table {
	return &table{
		kind: k, objects: map[string]map[string]Object{}, groups: map[string]map[Key]Object{}, watches: map[*watcher]struct{}{},
		history: history{keep: k.keep, wake: make(chan struct{}), landed: make(chan struct{})},
	}
}

func (t *table) get(namespace, name string) Object { return t.objects[namespace][name] }

func (t *table) put(obj Object) {
	ns := t.objects[obj.GetNamespace()]
	if ns == nil {
		ns = map[string]Object{}
		t.objects[obj.GetNamespace()] = ns
	}
	if old := ns[obj.GetName()]; old != nil {
		t.regroup(old, nil)
	}
	ns[obj.GetName()] = obj
	t.regroup(nil, obj)
}

// regroup takes an object out of its group, or puts one in.
func (t *table) regroup(out, in Object) {
	if t.group == nil {
		return
	}
	if out != nil {
		g := t.group(out)
		delete(t.groups[g], t.key(out))
		if len(t.groups[g]) == 0 {
			delete(t.groups, g)
		}
	}
	if in != nil {
		g := t.group(in)
		if t.groups[g] == nil {
			t.groups[g] = map[Key]Object{}
		}
		t.groups[g][t.key(in)] = in
	}
}

func (t *table) key(obj Object) Key { return Key{t.resource, obj.GetNamespace(), obj.GetName()} }

func (t *table) remove(namespace, name string) {
	if old := t.get(namespace, name); old != nil {
		t.regroup(old, nil)
	}
	delete(t.objects[namespace], name)
	if len(t.objects[namespace]) == 0 {
		delete(t.objects, namespace)
	}
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
