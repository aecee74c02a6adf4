package runtime

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/undo"
)

var (
	fpContainerRecord = failpoint.New("runtime.container.record")
	fpContainerLayers = failpoint.New("runtime.container.layers")
	fpContainerUpper  = failpoint.New("runtime.container.upper")
	fpContainerReady  = failpoint.New("runtime.container.ready")
)

// CreateContainer prepares a container: its layers are held, its writable layer exists, its spec is made. Everything
// that a manifest or an image can have wrong, short of the command, is an error here. On an error nothing of it is left;
// the files of cfg.Mounts are the runtime's from the call on, whatever the outcome.
func (r *Runtime) CreateContainer(ctx context.Context, sandboxID string, cfg ContainerConfig) (_ ContainerStatus, err error) {
	sources := takeSources(&cfg)
	s, err := r.sandbox(sandboxID)
	if err != nil {
		(&prepared{sources: sources}).close()
		return ContainerStatus{}, fmt.Errorf("create container %q: %w", cfg.Name, err)
	}
	c := r.newContainer(newID(), s, containerRecord{Version: recordVersion, Phase: phaseMaking})
	c.rec.Status = ContainerStatus{ID: c.id, SandboxID: s.id, Config: cfg, State: ContainerCreated, CreatedAt: time.Now()}
	c.rec.Status.LogPath, c.rec.Status.Cgroup = c.logPath(), c.cgroup()
	c.ready = &prepared{sources: sources}
	c.op.Lock()
	defer c.op.Unlock()

	var back undo.Stack
	defer func() {
		if err != nil {
			err = fmt.Errorf("create %s: %w", c, err)
		}
	}()
	defer back.Run(ctx, &err)
	w := r.stopwatch("create", c.id)
	for _, step := range []struct {
		name string
		make func(context.Context, *undo.Stack) error
	}{
		{"record", c.makeRecord}, {"layers", c.holdLayers}, {"writable layer", c.makeUpper}, {"root and spec", c.prepare},
	} {
		if err := step.make(ctx, &back); err != nil {
			return ContainerStatus{}, err
		}
		w.lap(step.name)
	}
	if err := s.add(c); err != nil {
		return ContainerStatus{}, err
	}
	back.Release()
	return c.status(), nil
}

// takeSources moves the mounts' open files out of the configuration, which is recorded.
func takeSources(cfg *ContainerConfig) map[string]*os.File {
	files := map[string]*os.File{}
	mounts := make([]Mount, len(cfg.Mounts))
	copy(mounts, cfg.Mounts)
	for i := range mounts {
		if f := mounts[i].File; f != nil {
			files[mounts[i].Destination] = f
			mounts[i].Source, mounts[i].File = f.Name(), nil
		}
	}
	cfg.Mounts = mounts
	return files
}

func (c *container) makeRecord(_ context.Context, back *undo.Stack) error {
	dir := c.r.dir.container(c.id)
	if err := back.Push(fpContainerRecord, "remove "+dir, func(context.Context) error { return c.unrecord() }); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return c.update(func(*containerRecord) {})
}

// unrecord forgets the container: the last step of its removal.
func (c *container) unrecord() error {
	err := os.RemoveAll(c.r.dir.container(c.id)) // before it is forgotten: a directory without an owner is a leftover
	c.r.mu.Lock()
	delete(c.r.containers, c.id)
	delete(c.r.processes, c.key())
	c.r.mu.Unlock()
	c.mu.Lock()
	c.ready.close()
	c.ready = nil
	c.mu.Unlock()
	return err
}

func (c *container) holdLayers(ctx context.Context, back *undo.Stack) error {
	release := func(ctx context.Context) error { return c.r.cfg.Images.Release(ctx, c.id) }
	if err := back.Push(fpContainerLayers, "release the image's layers", release); err != nil {
		return err
	}
	_, err := c.r.cfg.Images.Layers(ctx, c.config().ImageID, c.id)
	return err
}

func (c *container) makeUpper(_ context.Context, back *undo.Stack) error {
	dir := c.r.dir.upper(c.id)
	if err := back.Push(fpContainerUpper, "remove "+dir, func(context.Context) error { return c.removeUpper() }); err != nil {
		return err
	}
	for _, d := range []string{dir, filepath.Join(dir, "upper"), filepath.Join(dir, "work")} {
		if err := os.Mkdir(d, 0o711); err != nil {
			return err
		}
	}
	// The upper directory is the container's / for whoever looks at its mode.
	return os.Chmod(filepath.Join(dir, "upper"), 0o755)
}

// removeUpper removes the writable layer, in which the container may have made anything: a tree that is deeper than we may
// have descriptors, too.
func (c *container) removeUpper() error {
	return linux.RemoveTree(c.r.dir.upper(c.id))
}

// prepare mounts the root file system on a descriptor, finds the user in it, and makes the spec.
func (c *container) prepare(ctx context.Context, back *undo.Stack) error {
	if err := back.Push(fpContainerReady, "unmark ready", func(context.Context) error { return nil }); err != nil {
		return err
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	return c.update(func(rec *containerRecord) { rec.Phase = phaseReady })
}

// open fills c.ready: after a create, and again when hulld restarted between create and start.
func (c *container) open(ctx context.Context) error {
	cfg := c.config()
	layers, err := c.r.cfg.Images.Layers(ctx, cfg.ImageID, c.id)
	if err != nil {
		return err
	}
	img, err := c.r.cfg.Images.Get(ctx, cfg.ImageID)
	if err != nil {
		return err
	}
	dir := c.r.dir.upper(c.id)
	if err := freshWork(filepath.Join(dir, "work")); err != nil {
		return err
	}
	rootfs, err := linux.Overlay(linux.OverlayOptions{
		Lower: append(layers, c.r.dir.mountPoints()), Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work"), Volatile: true,
	})
	if err != nil {
		return fmt.Errorf("mount the root file system: %w", err)
	}
	c.mu.Lock()
	if c.ready == nil {
		c.ready = &prepared{}
	}
	c.ready.rootfs = rootfs
	c.mu.Unlock()
	who, err := cfg.user().Find(rootfs)
	if err != nil {
		return err
	}
	spec, err := c.makeSpec(cfg, &img.Config, who)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spec, c.rec.Who = spec, who
	return nil
}

// respec is the spec of a container, made again from what is on record.
func (c *container) respec(ctx context.Context) (*oci.Spec, error) {
	c.mu.Lock()
	spec, who := c.spec, c.rec.Who
	c.mu.Unlock()
	if spec != nil {
		return spec, nil
	}
	cfg := c.config()
	img, err := c.r.cfg.Images.Get(ctx, cfg.ImageID)
	if err != nil {
		return nil, err
	}
	return c.makeSpec(cfg, &img.Config, who)
}

// freshWork empties the work directory of an overlay that was mounted before a crash: a volatile one refuses to be mounted
// a second time, as what it had not written may be lost. Nothing had been written: the container never started.
func freshWork(dir string) error {
	if _, err := os.Lstat(filepath.Join(dir, "work", "incompat")); err != nil {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o711)
}
