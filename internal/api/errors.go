package api

import (
	"context"
	"errors"
	"net/http"
	"syscall"

	"github.com/containerd/errdefs"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// statusInsufficientStorage has no reason of its own in Kubernetes.
const statusInsufficientStorage = http.StatusInsufficientStorage

// classes turns an error's class into what a client is told, the first that fits. Errors that are Kubernetes' own already
// never come here. Nothing else in this package chooses a code.
func classes() []class {
	return []class{
		// What was sent is wrong, whatever else was found wrong on the way: something that it names and has not, say.
		{is(errdefs.IsInvalidArgument), http.StatusBadRequest, metav1.StatusReasonBadRequest},
		{is(errdefs.IsNotFound), http.StatusNotFound, metav1.StatusReasonNotFound},
		{is(errdefs.IsAlreadyExists), http.StatusConflict, metav1.StatusReasonAlreadyExists},
		{is(errdefs.IsFailedPrecondition), http.StatusConflict, metav1.StatusReasonConflict},
		{is(errdefs.IsConflict), http.StatusConflict, metav1.StatusReasonConflict},
		{is(errdefs.IsPermissionDenied), http.StatusForbidden, metav1.StatusReasonForbidden},
		{is(errdefs.IsUnauthorized), http.StatusUnauthorized, metav1.StatusReasonUnauthorized},
		{is(errdefs.IsNotImplemented), http.StatusNotImplemented, metav1.StatusReasonUnknown},
		{is(errdefs.IsUnavailable), http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable},
		{is(errdefs.IsDataLoss), http.StatusBadGateway, metav1.StatusReasonUnknown}, // a registry sends what is not what it says
		{is(errdefs.IsResourceExhausted), statusInsufficientStorage, metav1.StatusReasonUnknown},
		{target(syscall.ENOSPC), statusInsufficientStorage, metav1.StatusReasonUnknown},
		{target(syscall.EDQUOT), statusInsufficientStorage, metav1.StatusReasonUnknown},
		{target(context.DeadlineExceeded), http.StatusGatewayTimeout, metav1.StatusReasonTimeout},
		{target(context.Canceled), http.StatusGatewayTimeout, metav1.StatusReasonTimeout},
	}
}

type class struct {
	fits   func(error) bool
	code   int32
	reason metav1.StatusReason
}

func is(f func(error) bool) func(error) bool { return f }

func target(t error) func(error) bool { return func(err error) bool { return errors.Is(err, t) } }

// statusOf is an error as a client gets it.
func statusOf(err error) *metav1.Status {
	var known apierrors.APIStatus
	if errors.As(err, &known) {
		st := known.Status()
		st.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
		return &st
	}
	st := &metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Message: err.Error(),
	}
	for _, c := range classes() {
		if c.fits(err) {
			st.Code, st.Reason = c.code, c.reason
			return st
		}
	}
	st.Code, st.Reason = http.StatusInternalServerError, metav1.StatusReasonInternalError
	st.Message = "Internal error occurred: " + st.Message
	st.Details = &metav1.StatusDetails{Causes: []metav1.StatusCause{{Message: err.Error()}}}
	return st
}

// fail answers with an error. If the answer has already begun, the connection is cut instead, so that the client does not
// take half an answer for a whole one.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	st := statusOf(err)
	if st.Code == http.StatusInternalServerError {
		s.cfg.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if errors.Is(err, errBegun) {
		panic(http.ErrAbortHandler)
	}
	s.write(w, r, int(st.Code), st)
}

// errBegun marks an error that comes after the first byte of an answer.
var errBegun = errors.New("the answer has begun")

// badRequest is an error of class 400 with a text of our own.
func badRequest(text string) error { return apierrors.NewBadRequest(text) }

// noSuchResource is the answer to a path that means nothing.
func noSuchResource(_ http.ResponseWriter, r *http.Request) error {
	return apierrors.NewGenericServerResponse(http.StatusNotFound, r.Method, schema.GroupResource{}, "", "404 page not found", 0, true)
}
