package supported

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// detail is what follows "Forbidden: ".
const detail = "Hull does not act on this field"

// rule is what of a leaf is acted on.
type rule struct {
	values []string              // nil = every value; else one of these, as text
	key    func(key string) bool // of a map: which keys
	name   func(string) error    // of a text: what is wrong with it
}

// whole is a leaf that is acted on whatever its value.
var whole = rule{}

// only is a leaf of which some values are acted on.
func only(values ...string) rule { return rule{values: values} }

// keys is a map of which some keys are acted on.
func keys(ok func(string) bool) rule { return rule{key: ok} }

// named is a text of which a function says why it is not acted on.
func named(check func(string) error) rule { return rule{name: check} }

type (
	fields map[string]rule
	// table has a rule for each leaf, and an entry without a rule's meaning for each point above one.
	table struct {
		leaves fields
		above  map[string]bool
	}
)

func (t *table) add(prefix string, fs fields) {
	if t.leaves == nil {
		t.leaves, t.above = fields{}, map[string]bool{}
	}
	for name, r := range fs {
		path := prefix + name
		t.leaves[path] = r
		for i, c := range path {
			if c == '.' || c == '[' {
				t.above[path[:i]] = true
			}
			if c == ']' {
				t.above[path[:i+1]] = true
			}
		}
	}
}

// Checker holds the table. It is made once.
type Checker struct{ table table }

// New makes the checker of Pods.
func New() *Checker { return &Checker{table: pod()} }

// Check lists every field of a Pod's metadata and spec that is set, after defaulting, and that Hull does not act on. The
// status is the server's own and not looked at.
func (c *Checker) Check(p *corev1.Pod) field.ErrorList {
	w := walk{table: c.table}
	w.value(reflect.ValueOf(p.ObjectMeta), "metadata", field.NewPath("metadata"))
	w.value(reflect.ValueOf(p.Spec), "spec", field.NewPath("spec"))
	return w.errs
}

type walk struct {
	table table
	errs  field.ErrorList
}

// value looks at what is at one path.
func (w *walk) value(v reflect.Value, at string, path *field.Path) {
	if !set(v) {
		return
	}
	r, isLeaf := w.table.leaves[at]
	if !isLeaf && !w.table.above[at] {
		w.errs = append(w.errs, field.Forbidden(path, detail))
		return
	}
	if isLeaf {
		w.leaf(reflect.Indirect(v), r, path)
		return
	}
	switch v = reflect.Indirect(v); v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name, inline := jsonName(v.Type().Field(i))
			if inline {
				w.value(v.Field(i), at, path)
			} else {
				w.value(v.Field(i), at+"."+name, path.Child(name))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			w.value(v.Index(i), at+"[]", path.Index(i))
		}
	}
}

// leaf judges a value that is in the table.
func (w *walk) leaf(v reflect.Value, r rule, path *field.Path) {
	if r.key != nil {
		names := make([]string, 0, v.Len())
		for _, k := range v.MapKeys() {
			names = append(names, k.String())
		}
		slices.Sort(names)
		for _, name := range names {
			if !r.key(name) {
				w.errs = append(w.errs, field.Forbidden(path.Key(name), detail))
			}
		}
	}
	if r.name != nil {
		if err := r.name(v.String()); err != nil {
			w.errs = append(w.errs, field.Forbidden(path, err.Error()))
		}
	}
	if text := fmt.Sprint(v.Interface()); r.values != nil && !slices.Contains(r.values, text) {
		w.errs = append(w.errs, field.NotSupported(path, text, r.values))
	}
}

// set says whether a value says something: a pointer that points, a list or map with members, a scalar that is not zero. A
// struct is set when one of its fields is.
func set(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil()
	case reflect.Slice, reflect.Map:
		return v.Len() > 0
	case reflect.Struct:
		if opaque(v.Type()) {
			return !v.IsZero()
		}
		for i := range v.NumField() {
			if set(v.Field(i)) {
				return true
			}
		}
		return false
	}
	return !v.IsZero()
}

// opaque says whether a struct is one value in JSON.
func opaque(t reflect.Type) bool {
	switch t {
	case reflect.TypeFor[resource.Quantity](), reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.MicroTime](),
		reflect.TypeFor[intstr.IntOrString](), reflect.TypeFor[metav1.FieldsV1]():
		return true
	}
	return false
}

// jsonName is the name of a field in JSON; inline for one whose fields count as its parent's.
func jsonName(f reflect.StructField) (name string, inline bool) {
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	return name, name == ""
}
