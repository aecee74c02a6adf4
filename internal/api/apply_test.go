package api

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// TestApply: what was applied before, and is in the manifest no more, goes; what others have added stays.
func TestApply(t *testing.T) {
	h := newHull(t)
	const header = "Content-Type: application/vnd.hull.apply+yaml"
	manifest := func(labels, container string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  labels: {" + labels + "}\nspec:\n  containers:\n  - {name: a, image: toolbox" + container + "}\n"
	}
	p := want[corev1.Pod](h, 201, "POST", podsPath, manifest("a: one, b: two", `, env: [{name: X, value: "<1>"}]`), header)
	const said = `{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{},"labels":{"a":"one","b":"two"},"name":"web","namespace":"default"},` +
		`"spec":{"containers":[{"env":[{"name":"X","value":"\u003c1\u003e"}],"image":"toolbox","name":"a"}]}}` + "\n"
	if got := p.Annotations[corev1.LastAppliedConfigAnnotation]; got != said {
		t.Errorf("%s, want %s", got, said)
	}
	want[corev1.Pod](h, 200, "PATCH", podsPath+"/web", `{"metadata":{"labels":{"c":"three"}}}`, "Content-Type: application/merge-patch+json")
	p = want[corev1.Pod](h, 200, "PATCH", podsPath+"/web", manifest("b: 2nd", `:2, env: [{name: X, value: "<1>"}]`), header)
	if fmt.Sprint(p.Labels) != "map[b:2nd c:three]" || p.Spec.Containers[0].Image != "toolbox:2" || p.Generation != 2 {
		t.Errorf("%v %+v", p.Labels, p.Spec.Containers)
	}
	again := want[corev1.Pod](h, 200, "PATCH", podsPath+"/web", manifest("b: 2nd", `:2, env: [{name: X, value: "<1>"}]`), header)
	if again.ResourceVersion != p.ResourceVersion {
		t.Errorf("the same manifest made version %s of %s", again.ResourceVersion, p.ResourceVersion)
	}
	for body, why := range map[string]string{
		manifest("b: 2nd", ":2"):                                        "pod updates may not change fields other than",
		manifest("b: 2nd", ":2, comand: x"):                             `strict decoding error: unknown field "spec.containers[0].comand"`,
		"apiVersion: v1\nkind: Pod\nmetadata: {name: web, name: web}\n": "already set in map",
	} {
		if got := h.refused("PATCH", podsPath+"/web", body, header); !strings.Contains(got, why) {
			t.Errorf("%s: %s, want %s", body, got, why)
		}
	}
	// What is merged into a mapping may be said anew there.
	merged := "apiVersion: v1\nkind: Pod\nmetadata: {name: merged}\nspec:\n  containers:\n  - &a {name: a, image: toolbox}\n  - {<<: *a, name: b}\n"
	if p := want[corev1.Pod](h, 201, "POST", podsPath, merged, header); p.Spec.Containers[1].Name != "b" || p.Spec.Containers[1].Image != "toolbox" {
		t.Errorf("%+v", p.Spec.Containers)
	}
	// What was read from here is made anew, as something new.
	again = want[corev1.Pod](h, 201, "POST", podsPath, "apiVersion: v1\nkind: Pod\nmetadata: {name: again, resourceVersion: '1', uid: old}\nspec: {containers: [{name: a, image: toolbox}]}\nstatus: {phase: Running}\n", header)
	if again.UID == "old" || again.ResourceVersion == "1" || again.Status.Phase != corev1.PodPending {
		t.Errorf("%s %s %s", again.UID, again.ResourceVersion, again.Status.Phase)
	}
	// One that was made otherwise is merged.
	h.create("other")
	o := want[corev1.Pod](h, 200, "PATCH", podsPath+"/other", strings.Replace(manifest("b: two", ""), "web", "other", 1), header)
	if fmt.Sprint(o.Labels) != "map[app:other b:two]" || o.Annotations[corev1.LastAppliedConfigAnnotation] == "" {
		t.Errorf("%v %v", o.Labels, o.Annotations)
	}
	want[corev1.Pod](h, 200, "PATCH", podsPath+"/other", `{"metadata":{"annotations":{"`+corev1.LastAppliedConfigAnnotation+`":"{"}}}`, "Content-Type: application/merge-patch+json")
	if got := h.refused("PATCH", podsPath+"/other", strings.Replace(manifest("", ""), "web", "other", 1), header); !strings.Contains(got, "400 BadRequest: merge with what was applied before") {
		t.Error(got)
	}
	// One that is too large to be remembered is made all the same.
	large := strings.Replace(manifest("", `, args: [`+strings.Repeat("x", 262144)+`]`), "web", "large", 1)
	if p := want[corev1.Pod](h, 201, "POST", podsPath, large, header); len(p.Annotations) != 0 {
		t.Errorf("%d annotations", len(p.Annotations))
	}
	if p := want[corev1.Pod](h, 200, "PATCH", podsPath+"/large", strings.Replace(large, "labels: {", "labels: {a: b", 1), header); p.Labels["a"] != "b" {
		t.Errorf("%v", p.Labels)
	}
}
