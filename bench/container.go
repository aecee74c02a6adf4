package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hull-pods/hull/internal/oci"
)

// container compares one container's life, from nothing to nothing, with runc's of the same spec.
func (b *bench) container(ctx context.Context) error {
	g, err := b.ground(ctx)
	if err != nil {
		return err
	}
	peer, note := newRunc(b, g)
	var own, theirs []time.Duration
	for i := range b.runs + 1 {
		took, err := g.life(ctx, "life-"+strconv.Itoa(i))
		if err != nil {
			return err
		}
		if i > 0 { // the first fills caches
			own = append(own, took)
		}
		if peer == nil {
			continue
		}
		if took, err = peer.life(ctx, "hull-bench-"+strconv.Itoa(os.Getpid())+"-"+strconv.Itoa(i)); err != nil {
			peer, theirs, note = nil, nil, err.Error()
		} else if i > 0 {
			theirs = append(theirs, took)
		}
	}
	defer g.steps.tell(&b.table, "  of it: ")
	b.table.against("container start to exit of /bin/true", own, theirs, "runc run", 10, note)
	return nil
}

func trueConfig(cgroup string) oci.Config {
	fresh := oci.Namespace{Kind: oci.NamespaceNew}
	return oci.Config{
		Args: []string{"/bin/true"}, Hostname: "bench", CgroupsPath: cgroup,
		Namespaces: oci.Namespaces{Net: fresh, IPC: fresh, UTS: fresh, PID: fresh},
	}
}

// life is a container with overlay and cgroup made, started, ended, and all of it removed.
func (g *ground) life(ctx context.Context, name string) (time.Duration, error) {
	from := time.Now()
	spec, err := g.spec(trueConfig(g.tree.Load(name).Path()))
	if err != nil {
		return 0, err
	}
	c, err := g.start(ctx, name, spec)
	if err != nil {
		return 0, err
	}
	started := time.Now()
	err = c.end(ctx)
	g.steps.add("exit, and all removed", time.Since(started))
	return time.Since(from), err
}

// runc runs bundles.
type runc struct {
	exe, root, bundle string
}

func newRunc(b *bench, g *ground) (*runc, string) {
	exe, err := exec.LookPath("runc")
	if err != nil {
		return nil, "runc is not installed"
	}
	r := &runc{exe: exe, root: filepath.Join(b.dir, "runc"), bundle: filepath.Join(b.dir, "bundle")}
	if err := r.write(g); err != nil {
		return nil, err.Error()
	}
	return r, ""
}

// write makes the bundle: the same spec, on the image's layer itself, as runc makes no overlay.
func (r *runc) write(g *ground) error {
	rootfs := filepath.Join(r.bundle, "rootfs")
	if err := os.CopyFS(rootfs, os.DirFS(g.layers[0])); err != nil {
		return fmt.Errorf("copy the image's layer: %w", err)
	}
	spec, err := g.spec(trueConfig("/hull-bench-runc-" + strconv.Itoa(os.Getpid())))
	if err != nil {
		return err
	}
	data, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.bundle, "config.json"), data, 0o644)
}

func (r *runc) life(ctx context.Context, id string) (time.Duration, error) {
	return timed(exec.CommandContext(ctx, r.exe, "--root", r.root, "run", "--bundle", r.bundle, id))
}
