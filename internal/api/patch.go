package api

import (
	"encoding/json"
	"mime"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/api/patch"
	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/store"
)

// patch changes a part of an object: a JSON patch, a merge patch, a strategic merge patch, or a manifest that is applied.
func (s objects) patch(by updater) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		kind := types.PatchType(mediaType)
		known := []types.PatchType{types.JSONPatchType, types.MergePatchType, types.StrategicMergePatchType, v1alpha1.Manifest}
		if err != nil || !slices.Contains(known, kind) {
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
			if kind == v1alpha1.Manifest {
				// It is read as its author wrote it, so that a mistake is not lost in the merge.
				if _, err := s.decoders.decode(data, typeYAML, o.FieldValidation, s.st.Kind, s.st.New()); err != nil {
					return nil, nil, err
				}
			}
			after, err := patch.Apply(kind, current, before, data, maxBody)
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
