package image

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/containerd/errdefs"
)

// builtinLabel is on the name of an image that came with Hull; its value is the version.
const builtinLabel = "hull/builtin"

// Builtin makes sure that an image that comes with Hull is here in this version, reading its archive only if it is not. A
// pull of its name asks no registry.
func (s *Store) Builtin(ctx context.Context, name, version string, open func() (io.ReadCloser, error)) (Image, error) {
	name, err := Normalize(name)
	if err != nil {
		return Image{}, err
	}
	if img, ok := s.builtinVersion(name, version); ok {
		return img, nil
	}
	r, err := open()
	if err != nil {
		return Image{}, fmt.Errorf("open built-in image %s: %w", name, err)
	}
	defer r.Close() //nolint:errcheck // opened for reading
	loaded, err := s.load(ctx, map[string]string{builtinLabel: version}, r)
	if err != nil {
		return Image{}, err
	}
	if len(loaded) != 1 || !slices.Contains(loaded[0].Names, name) {
		return Image{}, fmt.Errorf("built-in image %s: its archive has another: %w", name, errdefs.ErrInvalidArgument)
	}
	return loaded[0], nil
}

// builtinImage finds a built-in image by its normalised name, in whatever version is here.
func (s *Store) builtinImage(name string) (Image, bool) {
	s.present.mu.RLock()
	defer s.present.mu.RUnlock()
	e := s.present.byName[name]
	if e == nil || e.builtin[name] == "" {
		return Image{}, false
	}
	return e.image.clone(), true
}

func (s *Store) builtinVersion(name, version string) (Image, bool) {
	s.present.mu.RLock()
	defer s.present.mu.RUnlock()
	e := s.present.byName[name]
	if e == nil || e.builtin[name] != version {
		return Image{}, false
	}
	return e.image.clone(), true
}
