package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/linux"
)

// removeLeftovers takes out of the kernel what carries this instance and belongs to nothing on record. It is the same
// list that a leak check reads. What cannot be removed is found again by that.
func (r *Runtime) removeLeftovers(ctx context.Context) {
	found, err := r.Leftovers(ctx)
	if err != nil {
		r.log.Error("what nobody owns cannot be listed", "err", err)
	}
	for _, l := range found {
		r.log.Warn("removing what nobody owns", "what", l.What)
		if err := l.Remove(ctx); err != nil {
			r.log.Error("what nobody owns is not removed", "what", l.What, "err", err)
		}
	}
}

// Leftover is something in the kernel or on disk that carries this instance and belongs to no sandbox on record.
type Leftover struct {
	What   string // "cgroup hull/besteffort/pod…"
	Remove func(context.Context) error
}

// Leftovers lists them; on a healthy Hull there are none.
func (r *Runtime) Leftovers(ctx context.Context) ([]Leftover, error) {
	lists := []func(context.Context) ([]Leftover, error){r.leftInfra, r.leftCgroups, r.leftNetworks, r.leftDirectories}
	found := make([][]Leftover, len(lists)) // in this order: processes must go before what they are in
	work, ctx := errgroup.WithContext(ctx)
	for i, list := range lists {
		work.Go(func() (err error) {
			found[i], err = list(ctx)
			return err
		})
	}
	if err := work.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// known is what sandboxes and containers on record are found by. It is filled before the kernel is looked at, as something may
// be removed meanwhile, and again after that, as something may be made: what is on record at neither time has no owner.
type known map[string]bool

func (r *Runtime) ids(into known) known {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.sandboxes {
		into[id] = true
	}
	for id := range r.containers {
		into[id] = true
	}
	return into
}

func (r *Runtime) cgroupsOnRecord(into known) known {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sandboxes {
		for p := s.config().CgroupParent; p != "." && p != "/" && p != ""; p = filepath.Dir(p) {
			into[p] = true
		}
	}
	for _, c := range r.containers {
		into[c.cgroup()] = true
	}
	return into
}

// leftInfra finds infra processes by their name: those that a dead keeper had are nobody's children.
func (r *Runtime) leftInfra(context.Context) ([]Leftover, error) {
	known := r.ids(known{})
	procs, err := processesNamed("hull-infra " + r.cfg.Instance + " ")
	if err != nil {
		return nil, err
	}
	r.ids(known)
	var list []Leftover
	for pid, name := range procs {
		if known[name[strings.LastIndexByte(name, ' ')+1:]] {
			continue
		}
		list = append(list, Leftover{fmt.Sprintf("process %d (%s)", pid, name), func(ctx context.Context) error {
			return killProcess(ctx, pid, name)
		}})
	}
	return list, nil
}

func (r *Runtime) leftCgroups(context.Context) ([]Leftover, error) {
	known := r.cgroupsOnRecord(known{})
	paths, err := r.cfg.Cgroups.List()
	if err != nil {
		return nil, err
	}
	r.cgroupsOnRecord(known)
	var list []Leftover
	for _, p := range paths {
		if known[p] || known[filepath.Dir(p)] && filepath.Base(p) == cgroup.InfraLeaf {
			continue
		}
		list = append(list, Leftover{"cgroup " + p, func(ctx context.Context) error {
			g := r.cfg.Cgroups.Load(p)
			if err := g.Kill(ctx); err != nil {
				return err
			}
			return errors.Join(g.Remove(ctx), g.Prune())
		}})
	}
	return list, nil
}

func (r *Runtime) leftNetworks(ctx context.Context) ([]Leftover, error) {
	known := r.ids(known{})
	owners, err := r.cfg.Network.List(ctx)
	if err != nil {
		return nil, err
	}
	r.ids(known)
	var list []Leftover
	for _, id := range owners {
		if !known[id] && !r.cfg.Network.Leaving(id) {
			list = append(list, Leftover{"network of sandbox " + id, func(ctx context.Context) error {
				return r.cfg.Network.Detach(ctx, id)
			}})
		}
	}
	return list, nil
}

// leftDirectories finds directories of sandboxes and containers without a record, and what is mounted in them.
func (r *Runtime) leftDirectories(context.Context) ([]Leftover, error) {
	known := r.ids(known{})
	var list []Leftover
	for _, top := range []string{r.dir.sandboxes(), r.dir.containers(), r.dir.uppers()} {
		ids, err := recordDirs(top)
		if err != nil {
			return nil, err
		}
		r.ids(known)
		for _, id := range ids {
			if known[id] {
				continue
			}
			dir := filepath.Join(top, id)
			list = append(list, Leftover{"directory " + dir, func(context.Context) error {
				err := unix.Unmount(filepath.Join(dir, "shm"), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
				if err != nil && err != unix.EINVAL && err != unix.ENOENT {
					return err
				}
				return linux.RemoveTree(dir)
			}})
		}
	}
	return list, nil
}

// processesNamed lists the processes whose argv[0] begins with prefix, by PID.
func processesNamed(prefix string) (map[int]string, error) {
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	found := map[int]string{}
	for _, d := range dirs {
		line, err := os.ReadFile(filepath.Join(d, "cmdline"))
		if err != nil {
			continue // it has ended meanwhile
		}
		name, _, _ := bytes.Cut(line, []byte{0})
		if !bytes.HasPrefix(name, []byte(prefix)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(d))
		if err != nil {
			continue
		}
		found[pid] = string(name)
	}
	return found, nil
}

// killByName kills an infra process that is nobody's child.
func (r *Runtime) killByName(ctx context.Context, name string) error {
	procs, err := processesNamed(name)
	if err != nil {
		return err
	}
	for pid := range procs {
		if err := killProcess(ctx, pid, name); err != nil {
			return err
		}
	}
	return nil
}

// killProcess kills a process that was found by its name, and waits for its end. The name is read again once the pidfd is
// there, so that the PID cannot have become another's.
func killProcess(ctx context.Context, pid int, name string) error {
	fd, err := linux.PidfdOpen(pid)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = fd.Close() }()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.HasPrefix(line, []byte(name)) {
		return nil
	}
	return killPidfd(ctx, fd)
}

// killPidfd kills, and waits until the process has ended.
func killPidfd(ctx context.Context, fd *os.File) error {
	if err := linux.PidfdSignal(fd, unix.SIGKILL); err != nil {
		if errors.Is(err, os.ErrProcessDone) {
			return nil
		}
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = fd.Close() })
	defer stop()
	if err := linux.PidfdWait(fd); err != nil {
		return errors.Join(err, ctx.Err())
	}
	return nil
}

// killAndWait ends the process of a keeper's record.
func (r *Runtime) killAndWait(ctx context.Context, k *keeper.Record) error {
	fd, err := r.cfg.Keeper.OpenProcess(ctx, k.Key, k.PID)
	if err != nil {
		return nil // it has ended
	}
	defer func() { _ = fd.Close() }()
	return killPidfd(ctx, fd)
}
