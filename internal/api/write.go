package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilrand "k8s.io/apimachinery/pkg/util/rand"

	"github.com/hull-pods/hull/internal/api/patch"
	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/store"
)

// What conflicts say.
const (
	staleVersion       = "the object has been modified; please apply your changes to the latest version and try again"
	preconditionFailed = "Precondition failed"
)

// create stores the object of the body. The answer comes when it is on disk; what the object asks for begins before.
func (s objects) create(w http.ResponseWriter, r *http.Request) error {
	var o metav1.CreateOptions
	if err := options(r, &o); err != nil {
		return err
	}
	if errs := validation.ValidateCreateOptions(&o); len(errs) > 0 {
		return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "CreateOptions"}, "", errs)
	}
	obj, warnings, err := s.body(r, o.FieldValidation)
	if err != nil {
		return err
	}
	namespace := r.PathValue("namespace")
	if obj.GetNamespace() == "" {
		obj.SetNamespace(namespace)
	}
	if obj.GetNamespace() != namespace {
		return badRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	stored, more, err := s.store(r.Context(), obj, len(o.DryRun) > 0)
	if err != nil {
		return err
	}
	warn(w, append(warnings, more...))
	return s.answer(w, r, http.StatusCreated, stored)
}

// store makes the object what is to be stored and stores it, under a name of its own or a generated one.
func (s objects) store(ctx context.Context, obj store.Object, dryRun bool) (store.Object, []string, error) {
	const tries = 8
	for try := 1; ; try++ {
		next := obj.DeepCopyObject().(store.Object)
		generated := next.GetName() == "" && next.GetGenerateName() != ""
		if generated {
			next.SetName(generateName(next.GetGenerateName()))
		}
		warnings, err := s.st.Create(next)
		if err != nil {
			return nil, nil, err
		}
		stored, err := s.commit(ctx, next, dryRun)
		switch {
		case !generated || !apierrors.IsAlreadyExists(err):
			return stored, warnings, err
		case try == tries:
			return nil, nil, apierrors.NewGenerateNameConflict(s.st.GroupResource(), next.GetName(), 1)
		}
	}
}

// commit creates and waits for the disk. What the disk does not take was never created.
func (s objects) commit(ctx context.Context, obj store.Object, dryRun bool) (store.Object, error) {
	if dryRun {
		if _, err := s.cfg.Store.Get(store.Key{Resource: s.st.Resource, Namespace: obj.GetNamespace(), Name: obj.GetName()}); err == nil {
			return nil, apierrors.NewAlreadyExists(s.st.GroupResource(), obj.GetName())
		}
		obj.GetObjectKind().SetGroupVersionKind(s.st.Kind)
		return obj, nil
	}
	stored, commit, err := s.cfg.Store.Create(obj)
	if err != nil {
		return nil, err
	}
	err = commit.Wait(ctx)
	if err == nil || ctx.Err() != nil {
		return stored, err // a client that goes away takes nothing back
	}
	key := store.Key{Resource: s.st.Resource, Namespace: stored.GetNamespace(), Name: stored.GetName()}
	_, _, undo := s.cfg.Store.Remove(key, func(current store.Object) error {
		if current.GetUID() != stored.GetUID() {
			return fmt.Errorf("%s was replaced meanwhile", key)
		}
		return nil
	})
	return nil, errors.Join(fmt.Errorf("create %s: %w", key, err), undo)
}

// generateName appends five letters and digits, as Kubernetes does.
func generateName(base string) string {
	const maxName, random = 63, 5
	if len(base) > maxName-random {
		base = base[:maxName-random]
	}
	return base + utilrand.String(random)
}

// body reads the object of a request.
func (s objects) body(r *http.Request, fieldValidation string) (store.Object, []string, error) {
	mediaType, err := mediaTypeOf(r)
	if err != nil {
		return nil, nil, err
	}
	data, err := readBody(r)
	if err != nil {
		return nil, nil, err
	}
	obj := s.st.New()
	if mediaType != v1alpha1.Manifest {
		warnings, err := s.decoders.decode(data, mediaType, fieldValidation, s.st.Kind, obj)
		return obj, warnings, err
	}
	warnings, err := s.decoders.decode(data, typeYAML, fieldValidation, s.st.Kind, obj)
	if err != nil {
		return nil, nil, err
	}
	if r.Method == http.MethodPost {
		obj.SetResourceVersion("") // one that was read from here, and is made anew
	}
	return obj, warnings, patch.Annotate(obj, data, r.PathValue("namespace"))
}

// updater is one of a strategy's two updates.
type updater func(obj, old store.Object) ([]string, error)

// update puts the object of the body in the place of the one that is there.
func (s objects) update(by updater) handlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		var o metav1.UpdateOptions
		if err := options(r, &o); err != nil {
			return err
		}
		if errs := validation.ValidateUpdateOptions(&o); len(errs) > 0 {
			return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "UpdateOptions"}, "", errs)
		}
		obj, warnings, err := s.body(r, o.FieldValidation)
		if err != nil {
			return err
		}
		k := s.key(r)
		if obj.GetName() != k.Name {
			return badRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", obj.GetName(), k.Name))
		}
		if obj.GetNamespace() == "" {
			obj.SetNamespace(k.Namespace)
		}
		if obj.GetNamespace() != k.Namespace {
			return badRequest(fmt.Sprintf("the namespace of the object (%s) does not match the namespace on the request (%s)", obj.GetNamespace(), k.Namespace))
		}
		return s.replace(w, r, len(o.DryRun) > 0, func(current store.Object) (store.Object, []string, error) {
			next := obj.DeepCopyObject().(store.Object)
			more, err := s.merge(by, next, current)
			return next, append(slices.Clip(warnings), more...), err
		})
	}
}

// merge makes obj what takes the place of current, if it may.
func (s objects) merge(by updater, obj, current store.Object) ([]string, error) {
	if uid := obj.GetUID(); uid != "" && uid != current.GetUID() {
		return nil, apierrors.NewConflict(s.st.GroupResource(), current.GetName(),
			fmt.Errorf("%s: UID in precondition: %v, UID in object meta: %v", preconditionFailed, uid, current.GetUID()))
	}
	if v := obj.GetResourceVersion(); v != "" && v != current.GetResourceVersion() {
		return nil, apierrors.NewConflict(s.st.GroupResource(), current.GetName(), errors.New(staleVersion))
	}
	return by(obj, current)
}

// replace writes what change makes of the object that a request names, waits for the disk and answers.
func (s objects) replace(w http.ResponseWriter, r *http.Request, dryRun bool, change func(current store.Object) (store.Object, []string, error)) error {
	k := s.key(r)
	var warnings []string
	if dryRun {
		current, err := s.cfg.Store.Get(k)
		if err != nil {
			return err
		}
		next, warnings, err := change(current)
		if err != nil {
			return err
		}
		warn(w, warnings)
		next.GetObjectKind().SetGroupVersionKind(s.st.Kind)
		return s.answer(w, r, http.StatusOK, next)
	}
	stored, commit, err := s.cfg.Store.Update(k, func(current store.Object) (next store.Object, err error) {
		next, warnings, err = change(current)
		return next, err
	})
	if err != nil {
		return err
	}
	if err := commit.Wait(r.Context()); err != nil {
		return err
	}
	warn(w, warnings)
	return s.answer(w, r, http.StatusOK, stored)
}

// remove deletes one object, by and by if it has a grace period. The answer is the object as the deletion left it.
func (s objects) remove(w http.ResponseWriter, r *http.Request) error {
	o, err := s.deleteOptions(r)
	if err != nil {
		return err
	}
	if len(o.DryRun) > 0 {
		current, err := s.cfg.Store.Get(s.key(r))
		if err != nil {
			return err
		}
		next, err := s.st.Delete(current, o, time.Now())
		if err != nil {
			return err
		}
		return s.answer(w, r, http.StatusOK, next)
	}
	obj, commit, err := s.delete(s.key(r), o)
	if err != nil {
		return err
	}
	if err := commit.Wait(r.Context()); err != nil {
		return err
	}
	return s.answer(w, r, http.StatusOK, obj)
}

func (s objects) delete(k store.Key, o *metav1.DeleteOptions) (store.Object, store.Commit, error) {
	return s.cfg.Store.Update(k, func(current store.Object) (store.Object, error) {
		return s.st.Delete(current, o, time.Now())
	})
}

// removeAll deletes every object of a selection and answers with the list of them.
func (s objects) removeAll(w http.ResponseWriter, r *http.Request) error {
	o, err := s.deleteOptions(r)
	if err != nil {
		return err
	}
	sel, err := s.selection(r)
	if err != nil {
		return err
	}
	f, err := s.form(r)
	if err != nil {
		return err
	}
	items, _, err := s.cfg.Store.List(s.st.Resource, sel.namespace, sel.match)
	if err != nil {
		return err
	}
	var commits []store.Commit
	for i, obj := range items {
		if len(o.DryRun) > 0 {
			break
		}
		last, commit, err := s.delete(store.Key{Resource: s.st.Resource, Namespace: obj.GetNamespace(), Name: obj.GetName()}, o)
		switch {
		case err == nil:
			items[i] = last
			commits = append(commits, commit)
		case !apierrors.IsNotFound(err):
			return err
		}
	}
	for _, c := range commits {
		if err := c.Wait(r.Context()); err != nil {
			return err
		}
	}
	v, err := f.list(s.st, items, strconv.FormatUint(s.cfg.Store.Version(), 10))
	if err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, v)
	return nil
}

// deleteOptions reads the options of a deletion: from the body, or from the parameters when there is none.
func (s objects) deleteOptions(r *http.Request) (*metav1.DeleteOptions, error) {
	data, err := readBody(r)
	if err != nil {
		return nil, err
	}
	o := &metav1.DeleteOptions{}
	if len(data) == 0 {
		return o, options(r, o)
	}
	mediaType, err := mediaTypeOf(r)
	if err != nil {
		return nil, err
	}
	kind := schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}
	obj, got, err := s.decoders.read(data, mediaType, true, &kind, o)
	if err != nil {
		return nil, decodeError(err, kind, got, data)
	}
	if obj != o {
		return nil, badRequest("decoded object cannot be converted to DeleteOptions")
	}
	return o, nil
}
