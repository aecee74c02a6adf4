package runtime

import (
	"context"

	"github.com/hull-pods/hull/internal/runtime/prepared"
	"github.com/hull-pods/hull/internal/runtime/process"
	"github.com/hull-pods/hull/internal/runtime/spec"
)

// opening has what a start needs made: at the create, and again when hulld restarted between create and start.
type opening struct {
	c *container
	p *prepared.Prepared
}

func (o opening) beginCgroup() {
	o.p.Group = o.c.r.cfg.Cgroups.Begin(o.c.cgroup(), spec.Cgroup(o.c.config()))
}

// removeCgroup is the undo of what began to make the cgroup, whatever has come of it.
func (o opening) removeCgroup(ctx context.Context) error {
	_, _ = o.p.Group.Wait()
	return o.c.group().Remove(ctx)
}

// run mounts the root file system on a descriptor, finds the user in it, makes the spec, and has the process born, if its cgroup is
// under way. Only the spec's namespaces wait for the sandbox.
func (o opening) run(ctx context.Context) error {
	c, p := o.c, o.p
	cfg := c.config()
	layers, err := c.r.cfg.Images.Layers(ctx, cfg.ImageID, c.id)
	if err != nil {
		return err
	}
	img, err := c.r.cfg.Images.Get(ctx, cfg.ImageID)
	if err != nil {
		return err
	}
	if p.Rootfs, err = c.upper().Mount(append(layers, c.r.dirs.MountPoints())); err != nil {
		return err
	}
	user := process.User{Spec: cfg.User, RunAsUser: cfg.RunAsUser, RunAsGroup: cfg.RunAsGroup, SupplementalGroups: cfg.SupplementalGroups}
	who, err := user.Find(p.Rootfs)
	if err != nil {
		return err
	}
	if p.Spec, err = c.makeSpec(&img.Config, who); err != nil {
		return err
	}
	if st, err := c.r.starterOf(c.in); err == nil && p.Group != nil {
		p.Begin(st, c.id, c.r.dirs.Container(c.id), cfg)
	}
	if err := c.in.making.Await(); err != nil {
		return err
	}
	spec.Join(p.Spec, c.in.namespace)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rec.Who = who
	return nil
}
