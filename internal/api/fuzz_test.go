package api

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/api/patch"
	"github.com/hull-pods/hull/internal/api/strategy"
	"github.com/hull-pods/hull/internal/api/v1alpha1"
)

// FuzzDecode gives the decoder, the defaults, validation and the walk over the fields whatever comes. What they let through
// is a Pod that passes again when it is read back.
func FuzzDecode(f *testing.F) {
	scheme, err := strategy.NewScheme()
	if err != nil {
		f.Fatal(err)
	}
	d, pods := newDecoders(scheme), strategy.Pods(scheme, node, nil)
	f.Add([]byte(podJSON("web", "")), false)
	f.Add([]byte(twoContainers), false)
	f.Add([]byte(podJSON("web", `,"volumes":[{"name":"v","emptyDir":{"medium":"Memory","sizeLimit":"1Mi"}},{"name":"h","hostPath":{"path":"/x"}}],"securityContext":{"sysctls":[{"name":"a.b","value":"1"}]}`)), false)
	f.Add([]byte("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: a, image: b, resources: {limits: {cpu: 1}}}]}\n"), true)
	f.Add([]byte("a: &a [*a]\n"), true)
	f.Add([]byte("a: &a [1,1]\nb: &b [*a,*a]\nc: [*b,*b]\n"), true)
	for _, path := range []string{"nginxweb.yaml", "two-containers.yaml"} {
		data, err := os.ReadFile(filepath.Join("../../examples", path))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, yaml bool) {
		mediaType := typeJSON
		if yaml {
			mediaType = typeYAML
		}
		pod := &corev1.Pod{}
		if _, err := d.decode(data, mediaType, "Strict", pods.Kind, pod); err != nil {
			return
		}
		if _, err := pods.Create(pod); err != nil {
			return
		}
		text, err := json.Marshal(pod)
		if err != nil {
			t.Fatal(err)
		}
		again := &corev1.Pod{}
		if _, err := d.decode(text, typeJSON, "Strict", pods.Kind, again); err != nil {
			t.Fatalf("what was accepted is not read back: %v\n%s", err, text)
		}
		if _, err := pods.Create(again); err != nil {
			t.Fatalf("what was accepted is refused when it comes back: %v\n%s", err, text)
		}
	})
}

// FuzzPatch gives a Pod whatever patch comes.
func FuzzPatch(f *testing.F) {
	scheme, err := strategy.NewScheme()
	if err != nil {
		f.Fatal(err)
	}
	d, pods := newDecoders(scheme), strategy.Pods(scheme, node, nil)
	pod := &corev1.Pod{}
	if _, err := d.decode([]byte(podJSON("web", "")), typeJSON, "Strict", pods.Kind, pod); err != nil {
		f.Fatal(err)
	}
	before, err := json.Marshal(pod)
	if err != nil {
		f.Fatal(err)
	}
	kinds := []types.PatchType{types.JSONPatchType, types.MergePatchType, types.StrategicMergePatchType, v1alpha1.Manifest}
	f.Add([]byte(`[{"op":"copy","from":"/spec","path":"/spec/x"}]`), 0)
	f.Add([]byte(`{"spec":{"containers":null}}`), 1)
	f.Add([]byte(`{"spec":{"containers":[{"name":"a","$patch":"delete"}],"$retainKeys":["x"]}}`), 2)
	f.Add([]byte(""), 3)
	f.Add([]byte(`{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"b","$patch":"delete"}]}}`), 3)
	f.Fuzz(func(_ *testing.T, data []byte, kind int) {
		pod.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: string(data[:len(data)/2])}
		after, err := patch.Apply(kinds[uint(kind)%4], pod, before, data, maxBody)
		if err != nil {
			return
		}
		_, _ = d.decode(after, typeJSON, "Strict", pods.Kind, pods.New()) // an error is an answer; a panic is not
	})
}
