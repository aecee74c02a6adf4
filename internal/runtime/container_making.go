package runtime

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/runtime/prepared"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/stopwatch"
	"github.com/hull-pods/hull/internal/undo"
)

var (
	fpContainerRecord = failpoint.New("runtime.container.record")
	fpContainerCgroup = failpoint.New("runtime.container.cgroup")
	fpContainerLayers = failpoint.New("runtime.container.layers")
	fpContainerUpper  = failpoint.New("runtime.container.upper")
	fpContainerReady  = failpoint.New("runtime.container.ready")
)

// CreateContainer prepares a container: its cgroup and its writable layer exist, its layers are held, its spec is made. Everything
// that a manifest or an image can have wrong, short of the command, is an error here. On an error nothing of it is left;
// the sandbox may be one that is being made; the files of cfg.Mounts are the runtime's from the call on, whatever the outcome.
func (r *Runtime) CreateContainer(ctx context.Context, sandboxID string, cfg ContainerConfig) (ContainerStatus, error) {
	ready := &prepared.Prepared{Sources: cfg.TakeFiles()}
	s, err := r.all.sandbox(sandboxID)
	leave := func() {}
	if err == nil {
		leave, err = s.making.Enter()
	}
	if err != nil {
		ready.Close()
		return ContainerStatus{}, fmt.Errorf("create container %q: %w", cfg.Name, err)
	}
	defer leave()
	c := r.newContainer(record.NewID(), s, record.Container{Version: record.Version, Phase: record.Making})
	c.rec.Status = ContainerStatus{ID: c.id, SandboxID: s.id, Config: cfg, State: ContainerCreated, CreatedAt: time.Now()}
	c.rec.Status.LogPath, c.rec.Status.Cgroup = c.logPath(), c.cgroup()
	c.op.Lock()
	defer c.op.Unlock()
	r.all.addContainer(c)
	if err := (&containerMaking{c: c, r: r, ready: ready}).run(ctx); err != nil {
		return ContainerStatus{}, fmt.Errorf("create %s: %w", c, err)
	}
	return c.status(), nil
}

// containerMaking is one attempt to create a container.
type containerMaking struct {
	c     *container
	r     *Runtime
	ready *prepared.Prepared
	back  undo.Stack
}

func (m *containerMaking) run(ctx context.Context) (err error) {
	defer m.back.Run(ctx, &err)
	err = stopwatch.Run(ctx, m.r.log, "create", m.c.id, stopwatch.Steps{
		{"record", m.record}, {"cgroup", m.cgroup}, {"layers", m.layers}, {"writable layer", m.upper}, {"root and spec", m.open},
	})
	if err != nil {
		return err
	}
	if err := m.c.in.add(m.c); err != nil {
		return err
	}
	m.back.Release()
	m.c.keepPrepared(m.ready)
	return nil
}

func (m *containerMaking) opening() opening { return opening{m.c, m.ready} }

func (m *containerMaking) record(context.Context) error {
	c, dir := m.c, m.r.dirs.Container(m.c.id)
	unrecord := func(context.Context) error {
		m.ready.Close()
		return c.unrecord()
	}
	if err := m.back.Push(fpContainerRecord, "remove "+dir, unrecord); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return c.update(func(*record.Container) {})
}

func (m *containerMaking) cgroup(context.Context) error {
	remove := func(ctx context.Context) error { return m.opening().removeCgroup(ctx) }
	if err := m.back.Push(fpContainerCgroup, "remove the cgroup", remove); err != nil {
		return err
	}
	m.opening().beginCgroup()
	return nil
}

func (m *containerMaking) layers(ctx context.Context) error {
	c, images := m.c, m.r.cfg.Images
	release := func(ctx context.Context) error { return images.Release(ctx, c.id) }
	if err := m.back.Push(fpContainerLayers, "release the image's layers", release); err != nil {
		return err
	}
	_, err := images.Layers(ctx, c.config().ImageID, c.id)
	return err
}

func (m *containerMaking) upper(context.Context) error {
	upper := m.c.upper()
	remove := func(context.Context) error { return upper.Remove() }
	if err := m.back.Push(fpContainerUpper, "remove "+string(upper), remove); err != nil {
		return err
	}
	return upper.Make()
}

// open is the last step: what it opens waits for the start.
func (m *containerMaking) open(ctx context.Context) error {
	if err := m.back.Push(fpContainerReady, "unmark ready", func(context.Context) error { return nil }); err != nil {
		return err
	}
	if err := m.opening().run(ctx); err != nil {
		return err
	}
	if _, err := m.ready.Group.Wait(); err != nil {
		return err
	}
	return m.c.update(func(rec *record.Container) { rec.Phase = record.Ready })
}
