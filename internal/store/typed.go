package store

// Get is [Store.Get] for one Go type: store.Get[*corev1.Pod](s, "default", "web").
func Get[T Object](s *Store, namespace, name string) (T, error) {
	var t T
	obj, err := s.Get(KeyOf[T](namespace, name))
	if err != nil {
		return t, err
	}
	return obj.(T), nil
}

// List is [Store.List] for one Go type.
func List[T Object](s *Store, namespace string, match func(T) bool) ([]T, uint64, error) {
	var t T
	var untyped func(Object) bool
	if match != nil {
		untyped = func(obj Object) bool { return match(obj.(T)) }
	}
	objs, version, err := s.List(resourceOf(t), namespace, untyped)
	if err != nil {
		return nil, 0, err
	}
	out := make([]T, len(objs))
	for i, obj := range objs {
		out[i] = obj.(T)
	}
	return out, version, nil
}

// Update is [Store.Update] for one Go type.
func Update[T Object](s *Store, namespace, name string, change func(current T) (T, error), opts ...Option) (T, Commit, error) {
	var t T
	obj, commit, err := s.Update(KeyOf[T](namespace, name), func(current Object) (Object, error) {
		next, err := change(current.(T))
		return next, err
	}, opts...)
	if err != nil {
		return t, commit, err
	}
	return obj.(T), commit, nil
}

// KeyOf is the key of an object of one Go type.
func KeyOf[T Object](namespace, name string) Key {
	var t T
	return Key{Resource: resourceOf(t), Namespace: namespace, Name: name}
}
