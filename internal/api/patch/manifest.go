package patch

import (
	"bytes"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	"sigs.k8s.io/yaml"

	"github.com/hull-pods/hull/internal/store"
)

// applied is a manifest as an object with the annotation that says so, in kubectl's form of it. One that is too large for an
// annotation is not remembered.
func applied(manifest []byte, namespace string) (object []byte, annotation string, err error) {
	text, err := yaml.YAMLToJSON(manifest)
	if err != nil {
		return nil, "", apierrors.NewBadRequest(err.Error())
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var obj map[string]any
	if err := d.Decode(&obj); err != nil {
		return nil, "", apierrors.NewBadRequest(err.Error())
	}
	if obj == nil {
		return nil, "", apierrors.NewBadRequest("the manifest is empty")
	}
	meta := within(obj, "metadata")
	if meta["namespace"] == nil || meta["namespace"] == "" {
		meta["namespace"] = namespace
	}
	annotations := within(meta, "annotations")
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	if text, err = json.Marshal(obj); err != nil {
		return nil, "", err
	}
	annotation = string(text) + "\n"
	size := len(corev1.LastAppliedConfigAnnotation) + len(annotation)
	for key, value := range annotations {
		size += len(key) + len(fmt.Sprint(value))
	}
	if size > validation.TotalAnnotationSizeLimitB {
		return text, "", nil
	}
	annotations[corev1.LastAppliedConfigAnnotation] = annotation
	object, err = json.Marshal(obj)
	return object, annotation, err
}

// Annotate says on a new object what manifest it was made from.
func Annotate(obj store.Object, manifest []byte, namespace string) error {
	_, annotation, err := applied(manifest, namespace)
	if err != nil || annotation == "" {
		return err
	}
	all := obj.GetAnnotations()
	if all == nil {
		all = map[string]string{}
	}
	all[corev1.LastAppliedConfigAnnotation] = annotation
	obj.SetAnnotations(all)
	return nil
}

// within is the object in a field, which it gets if it has none.
func within(obj map[string]any, field string) map[string]any {
	in, ok := obj[field].(map[string]any)
	if !ok {
		in = map[string]any{}
		obj[field] = in
	}
	return in
}
