package runtime

import (
	"context"
	"os"
	"sync"

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
	group   func() (*cgroup.Group, error) // waits until the cgroup is there
}

// makeCgroup begins to make the container's cgroup, beside all else.
func (p *prepared) makeCgroup(c *container) {
	p.group = sync.OnceValues(func() (*cgroup.Group, error) { return c.r.cfg.Cgroups.Create(c.cgroup(), spec.Cgroup(c.config())) })
	go p.group()
}

// removeCgroup is the undo of makeCgroup, whatever has come of it.
func (p *prepared) removeCgroup(ctx context.Context, c *container) error {
	if p.group != nil {
		_, _ = p.group()
	}
	return c.group().Remove(ctx)
}

// join opens the cgroup's files once it is there.
func (p *prepared) join() ([]*os.File, error) {
	group, err := p.group()
	if err != nil {
		return nil, err
	}
	return group.Join()
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
	if p.spec, err = c.makeSpec(&img.Config, who); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rec.Who = who
	return nil
}
