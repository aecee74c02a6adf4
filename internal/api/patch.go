package api

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/hull-pods/hull/internal/store"
)

// maxOperations is how many steps a JSON patch may have, as in Kubernetes.
const maxOperations = 10000

// patch changes a part of an object: a JSON patch, a merge patch or a strategic merge patch.
func (s objects) patch(by updater) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		kind := types.PatchType(mediaType)
		if err != nil || (kind != types.JSONPatchType && kind != types.MergePatchType && kind != types.StrategicMergePatchType) {
			return unsupportedMediaType(string(types.JSONPatchType), string(types.MergePatchType), string(types.StrategicMergePatchType))
		}
		var o metav1.PatchOptions
		if err := options(r, &o); err != nil {
			return err
		}
		if errs := validation.ValidatePatchOptions(&o, kind); len(errs) > 0 {
			return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "PatchOptions"}, "", errs)
		}
		data, err := readBody(r)
		if err != nil {
			return err
		}
		return s.replace(w, r, len(o.DryRun) > 0, func(current store.Object) (store.Object, []string, error) {
			before, err := json.Marshal(current)
			if err != nil {
				return nil, nil, err
			}
			after, err := applyPatch(kind, before, data, s.st.New())
			if err != nil {
				return nil, nil, err
			}
			next := s.st.New()
			warnings, err := s.decoders.decode(after, typeJSON, o.FieldValidation, s.st.Kind, next)
			if err != nil {
				return nil, nil, err
			}
			if next.GetName() != current.GetName() || next.GetNamespace() != current.GetNamespace() {
				return nil, nil, badRequest("a patch cannot change metadata.name or metadata.namespace")
			}
			more, err := s.merge(by, next, current)
			return next, append(warnings, more...), err
		})
	}
}

// applyPatch is the text of the object after the patch. like is a value of the object's type, whose tags say how lists merge.
func applyPatch(kind types.PatchType, before, patch []byte, like store.Object) ([]byte, error) {
	switch kind {
	case types.JSONPatchType:
		p, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			return nil, badRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
		if len(p) > maxOperations {
			return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("The allowed maximum operations in a JSON patch is %d, got %d", maxOperations, len(p)))
		}
		return applySteps(p, before)
	case types.MergePatchType:
		var object map[string]any
		if err := json.Unmarshal(patch, &object); err != nil {
			return nil, badRequest(fmt.Sprintf("error decoding patch: %v", err))
		}
		after, err := jsonpatch.MergePatch(before, patch)
		if err != nil {
			return nil, badRequest(err.Error())
		}
		return after, nil
	default:
		after, err := strategicpatch.StrategicMergePatch(before, patch, like)
		if err != nil {
			return nil, badRequest(err.Error())
		}
		return after, nil
	}
}

// applySteps applies a JSON patch. Each step is measured: copying can double a document with every one.
func applySteps(p jsonpatch.Patch, doc []byte) ([]byte, error) {
	copies := slices.ContainsFunc(p, func(op jsonpatch.Operation) bool { return op.Kind() == "copy" })
	steps := []jsonpatch.Patch{p}
	if copies {
		steps = nil
		for i := range p {
			steps = append(steps, p[i:i+1])
		}
	}
	for _, step := range steps {
		var err error
		if doc, err = step.Apply(doc); err != nil {
			return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
		}
		if len(doc) > maxBody {
			return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", maxBody))
		}
	}
	return doc, nil
}
