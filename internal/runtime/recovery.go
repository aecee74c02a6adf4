package runtime

import (
	"context"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/runtime/fate"
	"github.com/hull-pods/hull/internal/runtime/making"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

// recovery makes the runtime's state what the kernel has, when hulld starts. The order matters: the records first, as
// everything else is judged by them; then the half-made and half-removed are taken back; what is left without a record goes
// last.
//
//	record says   keeper says            then
//	making        anything               taken back
//	created       a key                  it was being started, and never ran: a created one again
//	ready         the process lives      adopted: pidfd, log, exit; unless its birth was cut off: then it never ran either
//	ready         a key, no process      it was being started in a PID namespace that it joins: it never ran either
//	ready         the process has ended  its end is put on record, as if we had been there
//	ready         knows no such key      the keeper died: what may still run is killed; how it ended is not known
//	removed       anything               the removal goes on
//	(none)        a key of ours          an exec session, or a birth before its record: killed and forgotten
type recovery struct {
	r    *Runtime
	kept map[string]*keeper.Record // what the keeper has, by key
}

// recover returns when all of it is done; exits are told until run ends.
func (r *Runtime) recover(ctx, run context.Context) error {
	v := &recovery{r: r, kept: map[string]*keeper.Record{}}
	nothingLeft := sync.OnceValue(r.search().Ahead(ctx))
	defer nothingLeft() // who looks has come to an end
	list, err := r.cfg.Keeper.Records(ctx)
	if err != nil {
		return err
	}
	for i := range list {
		v.kept[list[i].Key] = &list[i]
	}
	defer func() {
		for _, k := range v.kept {
			streams.CloseAll(k.FDs)
		}
	}()
	if err := v.load(ctx, r.dirs.Sandboxes(), v.loadSandbox); err != nil {
		return err
	}
	if err := v.load(ctx, r.dirs.Containers(), v.loadContainer); err != nil {
		return err
	}
	if err := v.retainLayers(ctx); err != nil {
		return err
	}
	// Exits wait in the keeper's channel until everybody who may be told of one is known.
	r.work.Go(func() { r.exits.Run(run) })
	v.goOn(ctx)
	if err := v.endStrangers(ctx); err != nil {
		return err
	}
	if !nothingLeft() {
		r.search().Remove(ctx, r.log)
	}
	return nil
}

// load takes up all sandboxes, or all containers, several at a time: most of it is reading, and waiting for the keeper's word.
func (v *recovery) load(ctx context.Context, dir string, one func(ctx context.Context, id string) error) error {
	ids, err := record.IDs(dir)
	if err != nil {
		return err
	}
	var work errgroup.Group
	work.SetLimit(2 * goruntime.GOMAXPROCS(0))
	for _, id := range ids {
		work.Go(func() error { return one(ctx, id) })
	}
	return work.Wait()
}

func (v *recovery) loadSandbox(ctx context.Context, id string) error {
	var rec record.Sandbox
	err := record.Read(v.r.dirs.SandboxRecord(id), &rec)
	if err != nil {
		return record.Unread(err, v.r.log)
	}
	s := v.r.newSandbox(id, rec, making.Done())
	v.r.all.addSandbox(s)
	if err := (&sandboxAdoption{s: s, r: v.r, kept: v.kept[s.key()]}).run(ctx); err != nil {
		return fmt.Errorf("adopt %s: %w", s, err)
	}
	return nil
}

func (v *recovery) loadContainer(ctx context.Context, id string) error {
	var rec record.Container
	err := record.Read(v.r.dirs.ContainerRecord(id), &rec)
	if err != nil {
		return record.Unread(err, v.r.log)
	}
	in, err := v.r.all.sandbox(rec.Status.SandboxID)
	if err != nil {
		return nil // its sandbox is gone: a leftover
	}
	c := v.r.newContainer(id, in, rec)
	v.r.all.addContainer(c)
	in.mu.Lock()
	in.containers = append(in.containers, c)
	in.mu.Unlock()
	if err := (&containerAdoption{c: c, r: v.r, kept: v.kept[c.key()]}).run(ctx); err != nil {
		return fmt.Errorf("adopt %s: %w", c, err)
	}
	return nil
}

// retainLayers declares anew which images' layers are in use: holds are in the memory of the image store.
func (v *recovery) retainLayers(ctx context.Context) error {
	held := map[string]string{}
	for _, c := range v.r.all.allContainers() {
		held[c.id] = c.config().ImageID
	}
	return v.r.cfg.Images.Retain(ctx, held)
}

// goOn finishes what a crash cut off in the middle. What cannot be taken back now stays on record, as a container that never
// ran or a sandbox that is not ready, for its owner to remove: one of them must not keep hulld from running the others.
func (v *recovery) goOn(ctx context.Context) {
	for _, c := range v.r.all.allContainers() {
		if c.phase() == record.Ready {
			continue
		}
		if err := (&containerRemoval{c: c, r: v.r}).run(ctx); err != nil {
			v.r.log.Error("what a crash left of a container is not taken back", "container", c.id, "err", err)
		}
	}
	for _, s := range v.r.all.allSandboxes() {
		if s.phase() == record.Ready {
			continue
		}
		if err := s.remove(ctx); err != nil {
			v.r.log.Error("what a crash left of a sandbox is not taken back", "sandbox", s.id, "err", err)
		}
	}
}

// endStrangers kills what the keeper knows and no record explains: exec sessions of the hulld before us, whose clients
// are gone, and processes that were cloned a moment before it died.
func (v *recovery) endStrangers(ctx context.Context) error {
	var list []*keeper.Record
	for key, k := range v.kept {
		if v.r.exits.Watcher(key) == nil {
			list = append(list, k)
		}
	}
	keys, err := fate.KillAll(ctx, v.r.cfg.Keeper, list, v.r.cfg.Cgroups.ThawProcess, v.r.log)
	if err != nil || len(keys) == 0 {
		return err
	}
	slices.Sort(keys)
	v.r.log.Info("ended what an earlier hulld left", "keys", strings.Join(keys, " "))
	return v.r.cfg.Keeper.Forget(ctx, keys...)
}
