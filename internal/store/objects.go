package store

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/watch"
)

// ErrClosed is the answer to a write that comes after [Store.Close].
var ErrClosed = errors.New("the object store is closed")

// errRaced says that the object was written by somebody else between the read and the write.
var errRaced = errors.New("the object changed meanwhile")

// Option changes how a write is made.
type Option int

// Lazy is a write that nobody waits for: it is on disk within a quarter of a second, or with the next write that is not lazy.
// Who waits for it after all makes it go at once.
const Lazy Option = 1

// Create stores a new object. Name and namespace are set by the caller; uid, resourceVersion, the first generation and
// creationTimestamp by the store. The argument is copied; what is returned is the stored value.
func (s *Store) Create(obj Object, opts ...Option) (Object, Commit, error) {
	t, err := s.table(resourceOf(obj))
	if err != nil {
		return nil, Commit{}, err
	}
	if obj.GetName() == "" || obj.GetNamespace() == "" {
		return nil, Commit{}, fmt.Errorf("create one of %s: name %q in namespace %q: neither may be empty", t.resource, obj.GetName(), obj.GetNamespace())
	}
	obj = obj.DeepCopyObject().(Object)
	obj.GetObjectKind().SetGroupVersionKind(t.gvk)
	if obj.GetUID() == "" {
		obj.SetUID(uuid.NewUUID())
	}
	if created := obj.GetCreationTimestamp(); created.IsZero() {
		obj.SetCreationTimestamp(now())
	}
	if t.generation && obj.GetGeneration() == 0 {
		obj.SetGeneration(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, Commit{}, ErrClosed
	}
	if t.get(obj.GetNamespace(), obj.GetName()) != nil {
		return nil, Commit{}, apierrors.NewAlreadyExists(t.groupResource(), obj.GetName())
	}
	s.stamp(obj)
	t.put(obj)
	t.history.add(entry{version: s.version, kind: watch.Added, obj: obj})
	key := Key{t.resource, obj.GetNamespace(), obj.GetName()}
	s.open.created[key] = true
	return obj, s.enqueue(key, obj, t.lazy || lazy(opts)), nil
}

// Update replaces an object by what change makes of it. change gets the stored value, which it must not touch, and returns
// another one, which it hands over: parts of the old value may be shared by the new. It runs again if somebody else wrote
// meanwhile. Where nothing changes, nothing is written, and the Commit is that of the value as it is. If the new value is
// [Gone], the object is removed, and the value returned is its last.
func (s *Store) Update(key Key, change func(current Object) (Object, error), opts ...Option) (Object, Commit, error) {
	t, err := s.table(key.Resource)
	if err != nil {
		return nil, Commit{}, err
	}
	for {
		current, err := s.Get(key)
		if err != nil {
			return nil, Commit{}, err
		}
		next, err := change(current)
		if err != nil {
			return nil, Commit{}, err
		}
		stored, commit, err := s.swap(t, key, current, next, t.lazy || lazy(opts))
		if !errors.Is(err, errRaced) {
			return stored, commit, err
		}
	}
}

// swap writes next in the place of current, if current is still there.
func (s *Store) swap(t *table, key Key, current, next Object, lazy bool) (Object, Commit, error) {
	if next.GetName() != key.Name || next.GetNamespace() != key.Namespace || next.GetUID() != current.GetUID() {
		return nil, Commit{}, fmt.Errorf("update %s: an update keeps name, namespace and uid", key)
	}
	same := next == current
	if !same {
		next.SetResourceVersion(current.GetResourceVersion())
		next.GetObjectKind().SetGroupVersionKind(t.gvk)
		same = equality.Semantic.DeepEqual(current, next)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, Commit{}, ErrClosed
	}
	if t.get(key.Namespace, key.Name) != current {
		return nil, Commit{}, errRaced
	}
	if same {
		return current, s.pending(key, lazy), nil
	}
	s.stamp(next)
	if Gone(next) {
		t.remove(key.Namespace, key.Name)
		t.history.add(entry{version: s.version, kind: watch.Deleted, obj: next, old: current, held: !lazy})
		return next, s.enqueue(key, nil, lazy), nil
	}
	t.put(next)
	begins := current.GetDeletionTimestamp() == nil && next.GetDeletionTimestamp() != nil
	t.history.add(entry{version: s.version, kind: watch.Modified, obj: next, old: current, held: begins && !lazy})
	return next, s.enqueue(key, next, lazy), nil
}

// Delete ends what an object waits for but its finalizers: it is gone, or goes with the last of them. check (which may be
// nil) can object. This is the last word of a deletion that began with a deletionTimestamp, and a whole one without.
func (s *Store) Delete(key Key, check func(current Object) error) (Object, Commit, error) {
	return s.end(key, check, false)
}

// Remove takes an object away whatever its finalizers say: to take a creation back.
func (s *Store) Remove(key Key, check func(current Object) error) (Object, Commit, error) {
	return s.end(key, check, true)
}

func (s *Store) end(key Key, check func(current Object) error, force bool) (Object, Commit, error) {
	return s.Update(key, func(current Object) (Object, error) {
		if check != nil {
			if err := check(current); err != nil {
				return nil, err
			}
		}
		last := current.DeepCopyObject().(Object)
		at, none := now(), int64(0)
		if current.GetDeletionTimestamp() == nil {
			last.SetDeletionTimestamp(&at)
		}
		last.SetDeletionGracePeriodSeconds(&none)
		if force {
			last.SetFinalizers(nil)
		}
		return last, nil
	})
}

// Gone says whether an object has nothing left that keeps it: it is being deleted, no grace period is left, and no finalizer
// waits.
func Gone(obj Object) bool {
	grace := obj.GetDeletionGracePeriodSeconds()
	return obj.GetDeletionTimestamp() != nil && (grace == nil || *grace == 0) && len(obj.GetFinalizers()) == 0
}

// Get returns an object, or an apierrors.IsNotFound error.
func (s *Store) Get(key Key) (Object, error) {
	t, err := s.table(key.Resource)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	obj := t.get(key.Namespace, key.Name)
	if obj == nil {
		return nil, apierrors.NewNotFound(t.groupResource(), key.Name)
	}
	return obj, nil
}

// List returns the objects of a namespace ("" = of all) that match (nil = every one), by namespace and name, and the
// version at which this was all there was: a watch from there misses nothing.
func (s *Store) List(resource, namespace string, match func(Object) bool) ([]Object, uint64, error) {
	t, err := s.table(resource)
	if err != nil {
		return nil, 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return t.list(namespace, match), s.version, nil
}

func (s *Store) table(resource string) (*table, error) {
	if t := s.tables[resource]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("the object store has no resource %q", resource)
}

// stamp gives an object the next version. The mutex is held.
func (s *Store) stamp(obj Object) {
	s.version++
	obj.SetResourceVersion(strconv.FormatUint(s.version, 10))
}

func lazy(opts []Option) bool {
	for _, o := range opts {
		if o == Lazy {
			return true
		}
	}
	return false
}

// now has the precision that objects keep on disk and on the wire: a second.
func now() metav1.Time { return metav1.Unix(time.Now().Unix(), 0) }
