package openapi

import (
	"encoding/json"
	"fmt"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
)

func TestJSON(t *testing.T) {
	text, err := JSON("0.1.0", Kind{corev1.SchemeGroupVersion.WithKind("Pod"), &corev1.Pod{}, "/pods", true})
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Definitions map[string]struct {
			Properties map[string]map[string]any
			Kinds      []map[string]string `json:"x-kubernetes-group-version-kind"`
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	pod, spec := doc.Definitions["io.k8s.api.core.v1.Pod"], doc.Definitions["io.k8s.api.core.v1.PodSpec"]
	if fmt.Sprint(pod.Kinds) != "[map[group: kind:Pod version:v1]]" {
		t.Errorf("%v", pod.Kinds)
	}
	for got, want := range map[string]string{
		fmt.Sprint(pod.Properties["kind"]):        "map[type:string]",
		fmt.Sprint(pod.Properties["metadata"]):    "map[$ref:#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta]",
		fmt.Sprint(spec.Properties["containers"]): "map[items:map[$ref:#/definitions/io.k8s.api.core.v1.Container] type:array x-kubernetes-patch-merge-key:name x-kubernetes-patch-strategy:merge]",
		fmt.Sprint(spec.Properties["overhead"]):   "map[additionalProperties:map[type:string] type:object]",
		fmt.Sprint(spec.Properties["priority"]):   "map[format:int32 type:integer]",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	b, err := Protobuf(text)
	if err != nil {
		t.Fatal(err)
	}
	var back openapi_v2.Document
	if err := proto.Unmarshal(b, &back); err != nil || len(back.Definitions.AdditionalProperties) != len(doc.Definitions) {
		t.Errorf("%v", err)
	}
}

func TestDocument(t *testing.T) {
	text, err := json.Marshal(Document("0.1.0", Kind{corev1.SchemeGroupVersion.WithKind("Pod"), &corev1.Pod{}, "/pods", true})["components"])
	if err != nil {
		t.Fatal(err)
	}
	var components struct {
		Schemas map[string]struct {
			Description string
			Required    []string
			Properties  map[string]struct {
				Description string
				Items       struct {
					Ref string `json:"$ref"`
				}
				AllOf []struct {
					Ref string `json:"$ref"`
				}
			}
		}
	}
	if err := json.Unmarshal(text, &components); err != nil {
		t.Fatal(err)
	}
	schemas := components.Schemas
	pod, spec := schemas["io.k8s.api.core.v1.Pod"], schemas["io.k8s.api.core.v1.PodSpec"].Properties
	for got, want := range map[string]string{
		pod.Description: "Pod is a collection of containers that can run on a host. This resource is created by clients and scheduled onto hosts.",
		fmt.Sprint(pod.Properties["metadata"].AllOf):                                "[{#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta}]",
		spec["containers"].Items.Ref:                                                "#/components/schemas/io.k8s.api.core.v1.Container",
		spec["containers"].Description:                                              "List of containers belonging to the pod. Containers cannot currently be added or removed. There must be at least one container in a Pod. Cannot be updated.",
		fmt.Sprint(schemas["io.k8s.api.core.v1.PodSpec"].Required):                  "[containers]",
		schemas["io.k8s.api.core.v1.Volume"].Properties["emptyDir"].Description[:8]: "emptyDir", // of what it embeds
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
