package image

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/hull-pods/hull/internal/image/class"
)

// catalog is what is present, in memory, so that a container's start reads no disk. The metadata on disk leads: the
// catalog is read from it, whole, after each change.
type catalog struct {
	mu      sync.RWMutex
	byID    map[string]*entry
	byName  map[string]*entry          // tags and digests, normalised
	targets map[digest.Digest]resolved // of reload alone: what was read of each target, so that it reads only what is new
	holders map[string]string          // holder → image ID; not on disk: see Retain
}

type entry struct {
	image   Image
	layers  []string // directories, top first
	builtin map[string]string
}

// reload reads the records of the metadata and forgets what is no longer there. The caller has s.changing; those who look for
// an image do not wait for the disk.
func (s *Store) reload(ctx context.Context) error {
	c := &s.present
	records, err := s.images.List(ctx)
	if err != nil {
		return fmt.Errorf("list image records: %w", err)
	}
	byID, byName, targets := map[string]*entry{}, map[string]*entry{}, map[digest.Digest]resolved{}
	for _, r := range records {
		got, known := c.targets[r.Target.Digest]
		if !known {
			if got, err = s.resolve(ctx, r.Target); err != nil {
				// A disk that lost a blob: the image is not here, and pulling it again mends it.
				s.log.Warn("an image is not complete: it counts as absent", "image", r.Name, "error", err)
				continue
			}
		}
		targets[r.Target.Digest] = got
		e := byID[got.id]
		if e == nil {
			e = got.entry()
			byID[got.id] = e
		}
		e.add(r)
		if !isID(r.Name) {
			byName[r.Name] = e
		}
	}
	for _, e := range byID {
		slices.Sort(e.image.Names)
		slices.Sort(e.image.Digests)
	}
	c.targets = targets
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID, c.byName = byID, byName
	return nil
}

// add gives the entry one more record of its.
func (e *entry) add(r images.Image) {
	switch {
	case isID(r.Name):
	case strings.Contains(r.Name, "@"):
		e.image.Digests = append(e.image.Digests, r.Name)
	default:
		e.image.Names = append(e.image.Names, r.Name)
	}
	if v, ok := r.Labels[builtinLabel]; ok {
		e.builtin[r.Name] = v
	}
	if e.image.PulledAt.IsZero() || r.CreatedAt.Before(e.image.PulledAt) {
		e.image.PulledAt = r.CreatedAt
	}
}

// Get finds a present image by name, by digest ("nginx@sha256:…"), by ID or by the beginning of an ID.
func (s *Store) Get(_ context.Context, ref string) (Image, error) {
	s.present.mu.RLock()
	defer s.present.mu.RUnlock()
	e, _, err := s.present.find(ref)
	if err != nil {
		return Image{}, err
	}
	return e.image.clone(), nil
}

// find also returns the normalised name under which the image was found; it is empty when ref is an ID. The caller holds mu.
func (c *catalog) find(ref string) (*entry, string, error) {
	if e := c.byID[ref]; e != nil {
		return e, "", nil
	}
	named, err := reference.ParseDockerRef(ref)
	if err == nil {
		if e := c.byName[named.String()]; e != nil {
			return e, named.String(), nil
		}
	}
	if prefix, ok := idPrefix(ref); ok {
		var found *entry
		for id, e := range c.byID {
			if !strings.HasPrefix(id, prefix) {
				continue
			}
			if found != nil {
				return nil, "", class.Of(fmt.Errorf("image %q: more than one ID begins so", ref), errdefs.ErrInvalidArgument)
			}
			found = e
		}
		if found != nil {
			return found, "", nil
		}
	} else if err != nil {
		return nil, "", class.Of(fmt.Errorf("failed to parse image name %q: %w", ref, err), errdefs.ErrInvalidArgument)
	}
	return nil, "", fmt.Errorf("image %q: %w", ref, errdefs.ErrNotFound)
}

// List returns every present image: first those with names, by name, then the others by ID.
func (s *Store) List(context.Context) ([]Image, error) {
	s.present.mu.RLock()
	defer s.present.mu.RUnlock()
	list := make([]Image, 0, len(s.present.byID))
	for _, e := range s.present.byID {
		list = append(list, e.image.clone())
	}
	slices.SortFunc(list, func(a, b Image) int {
		if len(a.Names) == 0 || len(b.Names) == 0 {
			if len(a.Names) != len(b.Names) {
				return len(b.Names) - len(a.Names)
			}
			return strings.Compare(a.ID, b.ID)
		}
		return strings.Compare(a.Names[0], b.Names[0])
	})
	return list, nil
}

// Layers returns the directories of an image's unpacked layers, top first: the lower directories of an overlay mount. The
// image stays until the holder is released. The directories are shared: nobody writes into them.
func (s *Store) Layers(_ context.Context, imageID, holder string) ([]string, error) {
	s.present.mu.Lock()
	defer s.present.mu.Unlock()
	e := s.present.byID[imageID]
	if e == nil {
		return nil, fmt.Errorf("image %q: %w", imageID, errdefs.ErrNotFound)
	}
	if err := s.present.hold(imageID, holder); err != nil {
		return nil, err
	}
	return slices.Clone(e.layers), nil
}

func (c *catalog) hold(imageID, holder string) error {
	if held, ok := c.holders[holder]; ok && held != imageID {
		return fmt.Errorf("%s holds image %s already: %w", holder, held, errdefs.ErrAlreadyExists)
	}
	if c.holders == nil {
		c.holders = map[string]string{}
	}
	c.holders[holder] = imageID
	return nil
}

// Retain says again who holds which image (holder → image ID) after a start: holds are kept in memory alone. It is called
// before anything can remove an image. One that the disk has lost is held all the same: what was mounted of it goes on, and it may
// be pulled again.
func (s *Store) Retain(_ context.Context, holders map[string]string) error {
	s.present.mu.Lock()
	defer s.present.mu.Unlock()
	var errs []error
	for holder, id := range holders {
		if s.present.byID[id] == nil {
			s.log.Warn("an image that is in use is not here any more", "image", id, "holder", holder)
		}
		errs = append(errs, s.present.hold(id, holder))
	}
	return errors.Join(errs...)
}

// Release ends a hold. A holder that holds nothing is no error.
func (s *Store) Release(_ context.Context, holder string) error {
	s.present.mu.Lock()
	defer s.present.mu.Unlock()
	delete(s.present.holders, holder)
	return nil
}

// holdersOf lists who holds this image. The caller has mu.
func (c *catalog) holdersOf(id string) []string {
	var names []string
	for holder, held := range c.holders {
		if held == id {
			names = append(names, holder)
		}
	}
	slices.Sort(names)
	return names
}

func (i Image) clone() Image {
	i.Names, i.Digests = slices.Clone(i.Names), slices.Clone(i.Digests)
	c := &i.Config
	c.Env, c.Entrypoint, c.Cmd = slices.Clone(c.Env), slices.Clone(c.Entrypoint), slices.Clone(c.Cmd)
	c.Volumes, c.ExposedPorts, c.Labels = slices.Clone(c.Volumes), slices.Clone(c.ExposedPorts), maps.Clone(c.Labels)
	return i
}

// entry begins the catalog's entry of what was read from disk; an image without layers has one empty directory.
func (r resolved) entry() *entry {
	e := &entry{layers: r.dirs, builtin: map[string]string{}}
	e.image = Image{
		ID: r.id, Size: r.size, Platform: r.platform, CreatedAt: time.Time{},
		Config: ImageConfig{
			User: r.config.Config.User, Env: r.config.Config.Env, Entrypoint: r.config.Config.Entrypoint, Cmd: r.config.Config.Cmd,
			WorkingDir: r.config.Config.WorkingDir, StopSignal: r.config.Config.StopSignal, Labels: r.config.Config.Labels,
			Volumes: slices.Sorted(maps.Keys(r.config.Config.Volumes)), ExposedPorts: slices.Sorted(maps.Keys(r.config.Config.ExposedPorts)),
		},
	}
	if r.config.Created != nil {
		e.image.CreatedAt = *r.config.Created
	}
	return e
}
