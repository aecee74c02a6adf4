package runtime

import (
	"context"
	"fmt"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/starter"
)

// Birth is the listing of system calls by which a container's process, or with a sandbox's ID its infra process, was made.
func (r *Runtime) Birth(ctx context.Context, id string) (string, error) {
	joins := r.cfg.Cgroups.Hierarchies() // each process writes to so many files, to join its cgroups
	if s, err := r.all.sandbox(id); err == nil {
		l, ok := r.native().(starter.Lister)
		if !ok {
			return "", fmt.Errorf("the birth of %s: %w", s, errdefs.ErrNotImplemented)
		}
		return l.InfraListing(s.infraRequest(), joins)
	}
	c, err := r.all.container(id)
	if err != nil {
		return "", err
	}
	made, err := r.starterOf(c.in)
	if err != nil {
		return "", fmt.Errorf("the birth of %s: %w", c, err)
	}
	l, ok := made.(starter.Lister)
	if !ok {
		return fmt.Sprintf("made by runtime handler %q\n", c.in.config().Handler), nil
	}
	if c.status().StartedAt.IsZero() {
		return "", nil // it never ran
	}
	spec, err := c.respec(ctx)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	facts := c.rec.Facts
	c.mu.Unlock()
	return l.Listing(spec, facts, joins)
}
