package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/image/class"
)

// Remove takes a name from an image, and removes the image with what no other needs when that was its last tag. By ID, or by
// digest, the image goes with all its names. The last tag of a repository takes the repository's digest along, as docker's does. An image that a holder uses is errdefs.ErrFailedPrecondition; taking one of
// several tags from it is not. So is a name that came with Hull: no registry has it. The space is free when Remove returns.
func (s *Store) Remove(ctx context.Context, ref string) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	records, err := s.present.remove(ref)
	if err != nil {
		return err
	}
	ctx = s.context(context.WithoutCancel(ctx)) // half a removal helps nobody
	err = s.transact(ctx, func(ctx context.Context) error {
		for _, name := range records {
			if err := s.images.Delete(ctx, name); err != nil && !errdefs.IsNotFound(err) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("remove image %q: %w", ref, err)
	}
	return errors.Join(err, s.reload(ctx), s.collect(ctx))
}

// InUseError is the refusal to remove an image that somebody holds.
type InUseError struct {
	Ref     string
	Holders []string // as they named themselves
}

// Error names the holders.
func (e *InUseError) Error() string {
	return fmt.Sprintf("image %q is in use by %s", e.Ref, strings.Join(e.Holders, ", "))
}

// FailedPrecondition is the error's class.
func (e *InUseError) FailedPrecondition() {}

// remove decides which records go, and takes the image out of the catalog if all do: from here on nobody can hold it.
func (c *catalog) remove(ref string) ([]string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, name, err := c.find(ref)
	if err != nil {
		return nil, err
	}
	several := slices.Contains(e.image.Names, name) && len(e.image.Names) > 1
	for _, n := range e.image.Names {
		if e.builtin[n] != "" && (n == name || !several) {
			return nil, class.Of(fmt.Errorf("image %q is built into hulld and cannot be removed", n), errdefs.ErrFailedPrecondition)
		}
	}
	if several {
		return c.untag(e, name), nil
	}
	if holders := c.holdersOf(e.image.ID); len(holders) > 0 {
		return nil, &InUseError{Ref: ref, Holders: holders}
	}
	records := slices.Concat(e.image.Names, e.image.Digests, []string{e.image.ID})
	for _, r := range records {
		delete(c.byName, r)
	}
	delete(c.byID, e.image.ID)
	return records, nil
}

// untag takes one of several tags from an image, and its repository's digest if no other tag is of that.
func (c *catalog) untag(e *entry, name string) []string {
	of := repository(name)
	e.image.Names = slices.DeleteFunc(e.image.Names, func(n string) bool { return n == name })
	gone := []string{name}
	if !slices.ContainsFunc(e.image.Names, func(n string) bool { return repository(n) == of }) {
		e.image.Digests = slices.DeleteFunc(e.image.Digests, func(d string) bool {
			if repository(d) == of {
				gone = append(gone, d)
			}
			return repository(d) == of
		})
	}
	for _, n := range gone {
		delete(c.byName, n)
	}
	return gone
}
