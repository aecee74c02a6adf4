package api

import (
	"fmt"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hull-pods/hull/internal/api/strategy"
	"github.com/hull-pods/hull/internal/store"
)

// objects is one resource, as the handlers of its verbs see it.
type objects struct {
	*Server
	st *strategy.Strategy
}

// key is the object that a request names.
func (s objects) key(r *http.Request) store.Key {
	return store.Key{Resource: s.st.Resource, Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
}

// get answers with one object.
func (s objects) get(w http.ResponseWriter, r *http.Request) error {
	obj, err := s.cfg.Store.Get(s.key(r))
	s.settle(r)
	if err != nil {
		return err
	}
	return s.answer(w, r, http.StatusOK, obj)
}

// settle comes between a look and the answer: what was seen to be deleted is so on disk then. Where the disk takes nothing, who
// deleted is told so, and who looks gets what there is.
func (s objects) settle(r *http.Request) {
	_ = s.cfg.Store.Settled(s.st.Resource).Wait(r.Context())
}

// answer sends an object in the form that was asked for.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, code int, obj store.Object) error {
	f, err := s.form(r)
	if err != nil {
		return err
	}
	v, err := f.object(obj)
	if err != nil {
		return err
	}
	s.write(w, r, code, v)
	return nil
}

// list answers with all objects of a selection; or, with ?watch, with what happens to them.
func (s objects) list(w http.ResponseWriter, r *http.Request) error {
	sel, err := s.selection(r)
	if err != nil {
		return err
	}
	if sel.Watch {
		return s.watch(w, r, sel)
	}
	f, err := s.form(r)
	if err != nil {
		return err
	}
	items, version, err := s.cfg.Store.List(s.st.Resource, sel.namespace, sel.match)
	if err != nil {
		return err
	}
	s.settle(r)
	if err := sel.reachable(version); err != nil {
		return err
	}
	v, err := f.list(s.st, items, strconv.FormatUint(version, 10))
	if err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, v)
	return nil
}

// reachable says whether a list at this version is what the request wants. The past is not kept, and the future not known.
func (sel selection) reachable(current uint64) error {
	switch {
	case sel.version > current:
		err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", sel.version, current), 1)
		err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
		return err
	case sel.ResourceVersionMatch == metav1.ResourceVersionMatchExact && sel.version != current, sel.Continue != "":
		return apierrors.NewResourceExpired("The resourceVersion for the provided list is too old.")
	}
	return nil
}
