package strategy

import (
	"fmt"
	"math"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hull-pods/hull/internal/store"
)

// Delete is what a request to delete makes of an object at an instant: the object as it is when a deletion is pending that
// would not end later, or another value, which the store removes if it is [store.Gone].
//
//   - The first request sets deletionTimestamp, the grace period ahead, and deletionGracePeriodSeconds.
//   - A later one can only shorten the period; a period of 0 leaves nothing to wait for but finalizers.
//   - What has no grace period, or has ended, goes at once.
func (s *Strategy) Delete(current store.Object, o *metav1.DeleteOptions, at time.Time) (store.Object, error) {
	if errs := validation.ValidateDeleteOptions(o); len(errs) > 0 {
		return nil, apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "DeleteOptions"}, "", errs)
	}
	if err := s.preconditions(current, o.Preconditions); err != nil {
		return nil, err
	}
	asked := o.GracePeriodSeconds
	if asked != nil && *asked < 0 {
		one := int64(1)
		asked = &one
	}
	obj := current.DeepCopyObject().(store.Object)
	pending := obj.GetDeletionGracePeriodSeconds()
	switch {
	case s.Grace == nil, obj.GetDeletionTimestamp() != nil && (pending == nil || *pending == 0):
		end(obj, at)
	case obj.GetDeletionTimestamp() == nil:
		period := s.Grace(obj, asked)
		when := second(at.Add(span(period)))
		obj.SetDeletionTimestamp(&when)
		obj.SetDeletionGracePeriodSeconds(&period)
		bump(obj)
	case asked == nil || *asked >= *pending:
		return current, nil
	default:
		shorten(obj, *asked, at)
	}
	return obj, nil
}

func (s *Strategy) preconditions(obj store.Object, p *metav1.Preconditions) error {
	if p == nil {
		return nil
	}
	// The kind stands where the resource belongs, in Kubernetes too.
	gr := schema.GroupResource{Group: s.Kind.Group, Resource: s.Kind.Kind}
	if p.UID != nil && *p.UID != obj.GetUID() {
		return apierrors.NewConflict(gr, obj.GetName(), fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s). "+
			"The object might have been deleted and then recreated", *p.UID, obj.GetUID()))
	}
	if p.ResourceVersion != nil && *p.ResourceVersion != obj.GetResourceVersion() {
		return apierrors.NewConflict(gr, obj.GetName(), fmt.Errorf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). "+
			"The object might have been modified", *p.ResourceVersion, obj.GetResourceVersion()))
	}
	return nil
}

// shorten moves a pending end forward, but not into the past: a period that is over becomes the shortest there is.
func shorten(obj store.Object, period int64, at time.Time) {
	begun := obj.GetDeletionTimestamp().Add(-span(*obj.GetDeletionGracePeriodSeconds()))
	when := second(begun.Add(span(period)))
	if when.Time.Before(at) {
		when = second(at)
		if period != 0 {
			period = 1
		}
	}
	obj.SetDeletionTimestamp(&when)
	obj.SetDeletionGracePeriodSeconds(&period)
}

// span is a grace period as a duration. One that nobody sees the end of is cut to 68 years: a duration has room for 292.
func span(period int64) time.Duration { return time.Duration(min(period, math.MaxInt32)) * time.Second }

// end leaves an object nothing to wait for but finalizers.
func end(obj store.Object, at time.Time) {
	none := int64(0)
	if when := obj.GetDeletionTimestamp(); when == nil {
		bump(obj)
	}
	if when := obj.GetDeletionTimestamp(); when == nil || when.After(at) {
		now := second(at)
		obj.SetDeletionTimestamp(&now)
	}
	obj.SetDeletionGracePeriodSeconds(&none)
}

func bump(obj store.Object) {
	if g := obj.GetGeneration(); g > 0 {
		obj.SetGeneration(g + 1)
	}
}
