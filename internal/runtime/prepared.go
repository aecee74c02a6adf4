package runtime

import (
	"context"
	"os"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/process"
	"github.com/hull-pods/hull/internal/runtime/spec"
)

// prepared is what CreateContainer has for StartContainer.
type prepared struct {
	rootfs  *os.File
	sources map[string]*os.File // mount sources, by destination
	spec    *oci.Spec
	group   *cgroup.Pending
}

func (p *prepared) beginCgroup(c *container) {
	p.group = c.r.cfg.Cgroups.Begin(c.cgroup(), spec.Cgroup(c.config()))
}

// removeCgroup is the undo of what began to make the cgroup, whatever has come of it.
func (p *prepared) removeCgroup(ctx context.Context, c *container) error {
	_, _ = p.group.Wait()
	return c.group().Remove(ctx)
}

func (p *prepared) close() {
	if p == nil {
		return
	}
	if p.rootfs != nil {
		_ = p.rootfs.Close()
	}
	for _, f := range p.sources {
		_ = f.Close()
	}
}

// open mounts the root file system on a descriptor, finds the user in it, and makes the spec: at the create, and again when
// hulld restarted between create and start.
func (p *prepared) open(ctx context.Context, c *container) error {
	cfg := c.config()
	layers, err := c.r.cfg.Images.Layers(ctx, cfg.ImageID, c.id)
	if err != nil {
		return err
	}
	img, err := c.r.cfg.Images.Get(ctx, cfg.ImageID)
	if err != nil {
		return err
	}
	if p.rootfs, err = c.upper().Mount(append(layers, c.r.dirs.MountPoints())); err != nil {
		return err
	}
	user := process.User{Spec: cfg.User, RunAsUser: cfg.RunAsUser, RunAsGroup: cfg.RunAsGroup, SupplementalGroups: cfg.SupplementalGroups}
	who, err := user.Find(p.rootfs)
	if err != nil {
		return err
	}
	if err := c.in.making.Await(); err != nil {
		return err
	}
	if p.spec, err = c.makeSpec(&img.Config, who); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rec.Who = who
	return nil
}
