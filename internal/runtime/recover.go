package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/logs"
	"github.com/hull-pods/hull/internal/runtime/streams"
)

// recover makes the runtime's state what the kernel has. The order matters: the records first, as everything else is
// judged by them; then the half-made and half-removed are taken back; what is left without a record goes last.
//
//	record says   keeper says            then
//	making        anything               taken back
//	created       a key                  it was being started, and never ran: a created one again
//	ready         the process lives      adopted: pidfd, log, exit; unless its birth was cut off: then it never ran either
//	ready         the process has ended  its end is put on record, as if we had been there
//	ready         knows no such key      the keeper died: what may still run is killed; how it ended is not known
//	removed       anything               the removal goes on
//	(none)        a key of ours          an exec session, or a birth before its record: killed and forgotten
func (r *Runtime) recover(ctx, run context.Context) error {
	list, err := r.cfg.Keeper.Records(ctx)
	if err != nil {
		return err
	}
	kept := map[string]*keeper.Record{}
	for i := range list {
		kept[list[i].Key] = &list[i]
	}
	defer func() {
		for _, k := range kept {
			streams.CloseAll(k.FDs)
		}
	}()
	if err := r.loadSandboxes(ctx, kept); err != nil {
		return err
	}
	if err := r.loadContainers(ctx, kept); err != nil {
		return err
	}
	if err := r.retainLayers(ctx); err != nil {
		return err
	}
	// Exits wait in the keeper's channel until everybody who may be told of one is known.
	r.work.Go(func() { r.dispatch(run) })
	r.goOn(ctx)
	if err := r.endStrangers(ctx, kept); err != nil {
		return err
	}
	r.removeLeftovers(ctx)
	return nil
}

func (r *Runtime) loadSandboxes(ctx context.Context, kept map[string]*keeper.Record) error {
	ids, err := recordDirs(r.dir.sandboxes())
	if err != nil {
		return err
	}
	for _, id := range ids {
		var rec sandboxRecord
		if err := readRecord(r.dir.sandboxRecord(id), &rec, func() int { return rec.Version }); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				continue // died between mkdir and the first record: a leftover
			}
			return err
		}
		s := r.newSandbox(id, rec)
		if err := s.adopt(ctx, kept[s.key()]); err != nil {
			return fmt.Errorf("adopt %s: %w", s, err)
		}
	}
	return nil
}

// adopt takes over the infra process from the keeper's record, or puts its end on record.
func (s *sandbox) adopt(ctx context.Context, k *keeper.Record) error {
	switch {
	case k == nil || k.PID == 0:
		// No process was ever given a program, or the keeper that knew it is dead: then it may live, as nobody's child.
		if err := s.r.killByName(ctx, s.r.infraName(s.id)); err != nil {
			return err
		}
		s.markEnded(time.Now())
	case k.Exit != nil:
		s.markEnded(k.Exit.At)
	default:
		fd, err := s.r.cfg.Keeper.OpenProcess(ctx, k.Key, k.PID)
		if err != nil {
			return nil // it ended just now: the exit is on its way
		}
		s.mu.Lock()
		s.pidfd, s.rec.Status.PID = fd, k.PID
		s.mu.Unlock()
	}
	return nil
}

// loadContainers takes up all containers, several at a time: most of it is reading, and waiting for the keeper's word.
func (r *Runtime) loadContainers(ctx context.Context, kept map[string]*keeper.Record) error {
	ids, err := recordDirs(r.dir.containers())
	if err != nil {
		return err
	}
	var work errgroup.Group
	work.SetLimit(2 * goruntime.GOMAXPROCS(0))
	for _, id := range ids {
		work.Go(func() error { return r.loadContainer(ctx, id, kept) })
	}
	return work.Wait()
}

func (r *Runtime) loadContainer(ctx context.Context, id string, kept map[string]*keeper.Record) error {
	var rec containerRecord
	err := readRecord(r.dir.containerRecord(id), &rec, func() int { return rec.Version })
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	in, err := r.sandbox(rec.Status.SandboxID)
	if err != nil {
		return nil // its sandbox is gone: a leftover
	}
	c := r.newContainer(id, in, rec)
	in.mu.Lock()
	in.containers = append(in.containers, c)
	in.mu.Unlock()
	if err := c.adopt(ctx, kept[c.key()]); err != nil {
		return fmt.Errorf("adopt %s: %w", c, err)
	}
	return nil
}

// fate is what start-up does with a container.
type fate string

const (
	fateNone    fate = "none"    // nothing of it has run; what is half made is taken back when all is known
	fateClear   fate = "clear"   // the same, but the keeper may have died in the middle of its start
	fateUnstart fate = "unstart" // it was being started, and never ran its command
	fateEnded   fate = "ended"   // its end is on record
	fateLost    fate = "lost"    // it ran, and the keeper that would know how it ended is dead
	fateAdopt   fate = "adopt"   // it runs, or has ended with an exit that the keeper saw; unless its birth was cut off
)

// fateOf decides by the record and by what the keeper has.
func fateOf(rec *containerRecord, k *keeper.Record) fate {
	switch st := rec.Status.State; {
	case rec.Phase == phaseMaking:
		return fateNone
	case st == ContainerExited || st == ContainerUnknown:
		return fateEnded
	case st == ContainerCreated && k == nil:
		return fateClear
	case st == ContainerCreated:
		return fateUnstart
	case k == nil || k.PID == 0:
		return fateLost
	default:
		return fateAdopt
	}
}

// adopt takes over a container's process and log.
func (c *container) adopt(ctx context.Context, k *keeper.Record) error {
	f := fateOf(&c.rec, k)
	if f == fateAdopt {
		ran, err := c.ran(ctx, k)
		if err != nil {
			return err
		}
		if !ran {
			f = fateUnstart
		}
	}
	if f != fateNone && f != fateClear && f != fateUnstart {
		close(c.started)
	}
	switch f {
	case fateClear:
		return c.clearCgroup(ctx)
	case fateUnstart:
		return c.unstart(ctx, k)
	case fateEnded:
		c.ending = true
		close(c.gone)
		close(c.ended)
		c.r.forget(ctx, c.key())
	case fateLost:
		return c.lost(ctx)
	case fateAdopt:
		if err := c.reopen(ctx, k); err != nil {
			// One that cannot be taken over must not keep hulld from running the others.
			c.r.log.Error("a container cannot be taken over, and is killed", "container", c.id, "err", err)
			defer c.r.forget(ctx, c.key())
			return errors.Join(c.detach(), c.lost(ctx))
		}
		if k.Exit != nil {
			c.processEnded(*k.Exit)
		}
	}
	return nil
}

// reopen takes back what hulld held of a running container: its log, its stdin, its pidfd.
func (c *container) reopen(ctx context.Context, k *keeper.Record) error {
	fds := k.FDs
	k.FDs = nil
	tty := c.config().TTY
	ends := logs.Ends(tty)
	if len(fds) < ends {
		streams.CloseAll(fds)
		return fmt.Errorf("the keeper holds %d descriptors of it, not %d", len(fds), ends)
	}
	switch {
	case tty:
		own, err := streams.Duplicate(fds[ends-1])
		if err != nil {
			return err
		}
		c.stdin = own
	case len(fds) > ends:
		c.stdin = fds[ends] // our end of its input is kept behind the log's
	}
	fds = fds[:ends]
	if err := c.openLog(fds); err != nil {
		c.r.log.Error("a container's log cannot be opened; its output waits for the next hulld", "container", c.id, "err", err)
		c.r.logStalled(c, err)
	}
	if k.Exit != nil {
		return nil
	}
	fd, err := c.r.cfg.Keeper.OpenProcess(ctx, k.Key, k.PID)
	if err != nil {
		return nil // it ended just now: the exit is on its way
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pidfd, c.rec.Status.PID = fd, k.PID
	return nil
}

// birthLimit is how long a birth may go on after hulld's death. Nothing in it waits, unless the kernel does.
const birthLimit = 10 * time.Second

// ran tells whether a container whose start is on record came to run its command: the hulld that wrote the record may have
// died before its process had all that it needed. One that then could not execute its command ends as if that had exited
// with status 1.
func (c *container) ran(ctx context.Context, k *keeper.Record) (bool, error) {
	w := takeWitness(k)
	defer w.close()
	if c.in.config().Handler != "" {
		return true, nil // an OCI program leaves no word; it is on record when its create and start are done
	}
	ran, err := w.testify(birthLimit)
	if err != nil {
		c.r.log.Warn("a container's birth does not come to its end", "container", c.id, "err", err)
		return false, c.r.killAndWait(ctx, k)
	}
	return ran, nil
}

// unstart makes a container a created one again that was being started when hulld died, and whose process, if there was one,
// never ran the command.
func (c *container) unstart(ctx context.Context, k *keeper.Record) error {
	streams.CloseAll(k.FDs)
	k.FDs = nil
	if k.PID != 0 && k.Exit == nil {
		if err := c.r.killAndWait(ctx, k); err != nil {
			return err
		}
	}
	if err := c.clearCgroup(ctx); err != nil {
		return err
	}
	return errors.Join(c.unmark(), c.r.cfg.Keeper.Forget(ctx, c.key()))
}

func (c *container) clearCgroup(ctx context.Context) error {
	group := c.r.cfg.Cgroups.Load(c.cgroup())
	return errors.Join(group.Kill(ctx), group.Remove(ctx))
}

// lost is the end of a container whose keeper died: what of it still runs is nobody's child, and is killed.
func (c *container) lost(ctx context.Context) error {
	if err := c.r.cfg.Cgroups.Load(c.cgroup()).Kill(ctx); err != nil {
		return err
	}
	err := c.update(func(rec *containerRecord) {
		st := &rec.Status
		st.State, st.EndedAt, st.PID = ContainerUnknown, time.Now(), 0
		st.ExitCode, st.Reason = unknownCode, ReasonUnknown
		st.Message = "The container could not be located when the runtime was restarted"
	})
	c.ending = true
	close(c.gone)
	close(c.ended)
	return err
}

// retainLayers declares anew which images' layers are in use: holds are in the memory of the image store.
func (r *Runtime) retainLayers(ctx context.Context) error {
	r.mu.Lock()
	held := map[string]string{}
	for id, c := range r.containers {
		held[id] = c.config().ImageID
	}
	r.mu.Unlock()
	return r.cfg.Images.Retain(ctx, held)
}

// goOn finishes what a crash cut off in the middle. What cannot be taken back now stays on record, as a container that never
// ran or a sandbox that is not ready, for its owner to remove: one of them must not keep hulld from running the others.
func (r *Runtime) goOn(ctx context.Context) {
	r.mu.Lock()
	var containers []*container
	var sandboxes []*sandbox
	for _, c := range r.containers {
		if c.rec.Phase != phaseReady {
			containers = append(containers, c)
		}
	}
	for _, s := range r.sandboxes {
		if s.rec.Phase != phaseReady {
			sandboxes = append(sandboxes, s)
		}
	}
	r.mu.Unlock()
	for _, c := range containers {
		if err := c.remove(ctx); err != nil {
			r.log.Error("what a crash left of a container is not taken back", "container", c.id, "err", err)
		}
	}
	for _, s := range sandboxes {
		if err := s.remove(ctx); err != nil {
			r.log.Error("what a crash left of a sandbox is not taken back", "sandbox", s.id, "err", err)
		}
	}
}

// endStrangers kills what the keeper knows and no record explains: exec sessions of the hulld before us, whose clients
// are gone, and processes that were cloned a moment before it died.
func (r *Runtime) endStrangers(ctx context.Context, kept map[string]*keeper.Record) error {
	var keys []string
	for key, k := range kept {
		r.mu.Lock()
		known := r.processes[key] != nil
		r.mu.Unlock()
		if known {
			continue
		}
		if k.PID != 0 && k.Exit == nil {
			if err := r.killAndWait(ctx, k); err != nil {
				return err
			}
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	r.log.Info("ended what an earlier hulld left", "keys", strings.Join(keys, " "))
	return r.cfg.Keeper.Forget(ctx, keys...)
}
