package supported

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/sets"
	defaults "k8s.io/kubernetes/pkg/apis/core/v1"
)

// leaves calls f for every leaf below a type: with its path in the table's form, and a function that makes the leaf, and
// what is above it, in a value of the type.
func leaves(t reflect.Type, at string, set func(root reflect.Value) reflect.Value, f func(path string, set func(root reflect.Value) reflect.Value)) {
	switch {
	case t.Kind() == reflect.Pointer:
		leaves(t.Elem(), at, func(root reflect.Value) reflect.Value {
			v := set(root)
			if v.IsNil() {
				v.Set(reflect.New(t.Elem()))
			}
			return v.Elem()
		}, f)
	case t.Kind() == reflect.Struct && !opaque(t):
		if t.NumField() == 0 {
			f(at, set)
		}
		for i := range t.NumField() {
			name, inline := jsonName(t.Field(i))
			path := at + "." + name
			if inline {
				path = at
			}
			leaves(t.Field(i).Type, path, func(root reflect.Value) reflect.Value { return set(root).Field(i) }, f)
		}
	case t.Kind() == reflect.Slice && (t.Elem().Kind() == reflect.Struct || t.Elem().Kind() == reflect.Pointer):
		leaves(t.Elem(), at+"[]", func(root reflect.Value) reflect.Value {
			v := set(root)
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(t, 1, 1))
			}
			return v.Index(0)
		}, f)
	default:
		f(at, set)
	}
}

// fill puts something that is not zero into a leaf.
func fill(t *testing.T, v reflect.Value, text string) {
	t.Helper()
	switch v.Interface().(type) {
	case resource.Quantity:
		v.Set(reflect.ValueOf(resource.MustParse("1")))
		return
	case metav1.Time:
		v.Set(reflect.ValueOf(metav1.Unix(1, 0)))
		return
	case metav1.MicroTime:
		v.Set(reflect.ValueOf(metav1.NewMicroTime(time.Unix(1, 0))))
		return
	case intstr.IntOrString:
		v.Set(reflect.ValueOf(intstr.FromInt32(1)))
		return
	case metav1.FieldsV1:
		v.Set(reflect.ValueOf(*metav1.NewFieldsV1("{}")))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(text != "false")
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		if v.Index(0).Kind() != reflect.Struct {
			fill(t, v.Index(0), text)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.SetString(text)
		fill(t, value, text)
		v.SetMapIndex(key, value)
	case reflect.Struct: // one without fields
	default:
		t.Fatalf("nobody knows how to fill a %s", v.Type())
	}
}

// TestEveryLeaf sets each leaf of a Pod's metadata and spec, one at a time. Either the table has it and it passes, or it is
// refused by name; and the table has no path that is not a leaf.
func TestEveryLeaf(t *testing.T) {
	c := New()
	seen := sets.New[string]()
	refused := 0
	try := func(path string, set func(root reflect.Value) reflect.Value) {
		r, known := c.table.leaves[path]
		seen.Insert(path)
		text := "x"
		if len(r.values) > 0 {
			text = r.values[len(r.values)-1]
		}
		if r.key != nil && strings.Contains(path, "resources") {
			text = "cpu"
		}
		if r.name != nil {
			text = "net.ipv4.tcp_syncookies"
		}
		p := &corev1.Pod{}
		fill(t, set(reflect.ValueOf(p).Elem()), text)
		errs := c.Check(p)
		switch {
		case known && len(errs) != 0:
			t.Errorf("%s is in the table and refused: %v", path, errs)
		case !known && len(errs) != 1:
			t.Errorf("%s is not in the table, and there are %d errors: %v", path, len(errs), errs)
		case !known:
			refused++
			got := strings.ReplaceAll(errs[0].Field, "[0]", "[]")
			if got != path && !strings.HasPrefix(path, got+".") && !strings.HasPrefix(path, got+"[") {
				t.Errorf("%s is refused as %s", path, got)
			}
			if errs[0].Error() != errs[0].Field+": Forbidden: "+detail {
				t.Errorf("%s: %v", path, errs[0])
			}
		}
	}
	leaves(reflect.TypeFor[corev1.Pod](), "", func(root reflect.Value) reflect.Value { return root }, func(path string, set func(reflect.Value) reflect.Value) {
		if path = strings.TrimPrefix(path, "."); strings.HasPrefix(path, "metadata.") || strings.HasPrefix(path, "spec.") {
			try(path, set)
		}
	})
	for path := range c.table.leaves {
		if !seen.Has(path) {
			t.Errorf("the table has %s, which a Pod has not", path)
		}
	}
	t.Logf("%d leaves: %d acted on, %d refused", len(seen), len(c.table.leaves), refused)
}

func TestDefaultsPass(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := defaults.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.PodSpec{
			InitContainers: []corev1.Container{{Name: "i", Image: "toolbox"}},
			Containers: []corev1.Container{{
				Name: "a", Image: "toolbox",
				Ports:           []corev1.ContainerPort{{ContainerPort: 80}},
				Env:             []corev1.EnvVar{{Name: "A", Value: "b"}, {Name: "EMPTY"}},
				SecurityContext: &corev1.SecurityContext{},
				Resources:       corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Mi")}},
			}},
			Volumes: []corev1.Volume{
				{Name: "d"}, // becomes an emptyDir
				{Name: "h", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/x"}}},
			},
			HostNetwork: true,
		},
	}
	scheme.Default(p)
	if errs := New().Check(p); len(errs) != 0 {
		t.Error(errs)
	}
}

// TestWords: what a refusal reads like, and that it is one error where it can be one.
func TestWords(t *testing.T) {
	no := false
	yes := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			OwnerReferences: []metav1.OwnerReference{{Name: "x"}},
			Annotations:     map[string]string{"note": "mine", "kubernetes.io/ingress-bandwidth": "1M"},
		},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{
				{Name: "kernel.shm_rmid_forced"}, {Name: "kernel.core_pattern"}, {Name: "net/ipv4/ip_forward"}, {Name: "kernel/sysrq"}, {Name: "user.max_user_namespaces"},
			}},
			AutomountServiceAccountToken: &yes, HostUsers: &no, ServiceAccountName: "robot",
			Containers: []corev1.Container{{
				LivenessProbe: &corev1.Probe{PeriodSeconds: 10, ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"a"}}}},
				Lifecycle:     &corev1.Lifecycle{},
				Env:           []corev1.EnvVar{{Name: "A"}, {Name: "B", ValueFrom: &corev1.EnvVarSource{}}},
				Resources:     corev1.ResourceRequirements{Limits: corev1.ResourceList{"cpu": resource.MustParse("1"), "example.com/gpu": resource.MustParse("1")}},
			}},
			Volumes: []corev1.Volume{
				{Name: "a", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: "HugePages"}}},
				{Name: "b", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}},
			},
		},
	}
	var got []string
	for _, err := range New().Check(p) {
		got = append(got, err.Error())
	}
	want := []string{
		`metadata.annotations[kubernetes.io/ingress-bandwidth]: Forbidden: ` + detail,
		`metadata.ownerReferences: Forbidden: ` + detail,
		`spec.volumes[0].emptyDir.medium: Unsupported value: "HugePages": supported values: "", "Memory"`,
		`spec.volumes[1].configMap: Forbidden: ` + detail,
		`spec.containers[0].env[1].valueFrom: Forbidden: ` + detail,
		`spec.containers[0].resources.limits[example.com/gpu]: Forbidden: ` + detail,
		`spec.containers[0].livenessProbe: Forbidden: ` + detail,
		`spec.containers[0].lifecycle: Forbidden: ` + detail,
		`spec.serviceAccountName: Unsupported value: "robot": supported values: "default"`,
		`spec.automountServiceAccountToken: Unsupported value: "true": supported values: "false"`,
		`spec.securityContext.sysctls[1].name: Forbidden: this sysctl belongs to no namespace of a Pod: it would change the host`,
		`spec.securityContext.sysctls[3].name: Forbidden: this sysctl belongs to no namespace of a Pod: it would change the host`,
		`spec.securityContext.sysctls[4].name: Forbidden: this sysctl belongs to no namespace of a Pod: it would change the host`,
		`spec.hostUsers: Unsupported value: "false": supported values: "true"`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("\n got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}
