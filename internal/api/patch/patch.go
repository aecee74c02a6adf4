// Package patch is what a patch makes of an object: a JSON patch, a merge patch, a strategic merge patch, or a manifest that is
// applied.
package patch

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/store"
)

// maxOperations is how many steps a JSON patch may have, as in Kubernetes.
const maxOperations = 10000

// Apply is the text of the object after the patch; before is its text now, and limit what a text may measure.
func Apply(kind types.PatchType, current store.Object, before, patch []byte, limit int) ([]byte, error) {
	switch kind {
	case types.JSONPatchType:
		p, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
		if len(p) > maxOperations {
			return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("The allowed maximum operations in a JSON patch is %d, got %d", maxOperations, len(p)))
		}
		return steps(p, before, limit)
	case types.MergePatchType:
		var object map[string]any
		if err := json.Unmarshal(patch, &object); err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
		after, err := jsonpatch.MergePatch(before, patch)
		return after, asBadRequest(err)
	case v1alpha1.Manifest:
		modified, _, err := applied(patch, current.GetNamespace())
		if err != nil {
			return nil, err
		}
		// The tags of the object's type say how lists merge.
		merging, err := strategicpatch.NewPatchMetaFromStruct(current)
		if err != nil {
			return nil, fmt.Errorf("read how lists merge: %w", err)
		}
		original := []byte(current.GetAnnotations()[corev1.LastAppliedConfigAnnotation])
		if patch, err = strategicpatch.CreateThreeWayMergePatch(original, modified, before, merging, true); err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("merge with what was applied before: %v", err))
		}
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, current)
	return after, asBadRequest(err)
}

func asBadRequest(err error) error {
	if err == nil {
		return nil
	}
	return apierrors.NewBadRequest(err.Error())
}

// steps applies a JSON patch. Each step is measured: copying can double a document with every one.
func steps(p jsonpatch.Patch, doc []byte, limit int) ([]byte, error) {
	copies := slices.ContainsFunc(p, func(op jsonpatch.Operation) bool { return op.Kind() == "copy" })
	parts := []jsonpatch.Patch{p}
	if copies {
		parts = nil
		for i := range p {
			parts = append(parts, p[i:i+1])
		}
	}
	for _, step := range parts {
		var err error
		if doc, err = step.Apply(doc); err != nil {
			return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
		}
		if len(doc) > limit {
			return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", limit))
		}
	}
	return doc, nil
}
