package api

import (
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	optionscheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hull-pods/hull/internal/api/strategy"
	"github.com/hull-pods/hull/internal/store"
)

// options reads a request's parameters into one of Kubernetes' options.
func options(r *http.Request, into runtime.Object) error {
	if err := optionscheme.ParameterCodec.DecodeParameters(r.URL.Query(), metav1.SchemeGroupVersion, into); err != nil {
		return badRequest(err.Error())
	}
	return nil
}

// selection is which objects a request speaks of.
type selection struct {
	internalversion.ListOptions
	namespace string // "" = all
	match     func(store.Object) bool
	version   uint64 // the version that the request names; 0 = none
}

// selection reads namespace, selectors and version of a list, watch or deletecollection.
func (s objects) selection(r *http.Request) (selection, error) {
	sel := selection{namespace: r.PathValue("namespace")}
	if err := options(r, &sel.ListOptions); err != nil {
		return sel, err
	}
	if errs := validation.ValidateListOptions(&sel.ListOptions, true); len(errs) > 0 {
		return sel, apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "ListOptions"}, "", errs)
	}
	if sel.FieldSelector != nil {
		byField, err := sel.FieldSelector.Transform(func(field, value string) (string, string, error) {
			return s.scheme.ConvertFieldLabel(s.st.Kind, field, value)
		})
		if err != nil {
			return sel, badRequest(err.Error())
		}
		sel.FieldSelector = byField
	}
	sel.match = matching(s.st, sel.LabelSelector, sel.FieldSelector)
	var err error
	sel.version, err = parseVersion(sel.ResourceVersion)
	return sel, err
}

// matching is the test of both selectors; nil if every object passes.
func matching(st *strategy.Strategy, byLabel labels.Selector, byField fields.Selector) func(store.Object) bool {
	anyLabel, anyField := byLabel == nil || byLabel.Empty(), byField == nil || byField.Empty()
	if anyLabel && anyField {
		return nil
	}
	return func(obj store.Object) bool {
		return (anyLabel || byLabel.Matches(labels.Set(obj.GetLabels()))) && (anyField || byField.Matches(st.Fields(obj)))
	}
}

// parseVersion reads a resourceVersion; "" is 0.
func parseVersion(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, badRequest(fmt.Sprintf("resourceVersion: Invalid value: %q: %v", text, err))
	}
	return v, nil
}
