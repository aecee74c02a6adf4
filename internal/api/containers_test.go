package api

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestDefaultContainer(t *testing.T) {
	several := corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "prep"}}, Containers: []corev1.Container{{Name: "writer"}, {Name: "server"}},
	}
	pod := func(spec corev1.PodSpec, annotated string) *corev1.Pod {
		p := &corev1.Pod{Spec: spec}
		p.Annotations = map[string]string{defaultContainerAnnotation: annotated}
		return p
	}
	for want, p := range map[[2]string]*corev1.Pod{
		{"main", ""}: pod(corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}}, ""),
		{"writer", `Defaulted container "writer" out of: writer, server, prep (init)`}: pod(several, "nosuch"),
		{"server", ""}: pod(several, "server"),
	} {
		if name, tell := defaultContainer(p); name != want[0] || tell != want[1] {
			t.Errorf("%q, %q; want %q", name, tell, want)
		}
	}
}
