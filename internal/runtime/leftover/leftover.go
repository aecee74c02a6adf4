// Package leftover finds and removes what carries a Hull's instance, in the kernel or on disk, and belongs to no sandbox or
// container on record.
package leftover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/shm"
)

// Owners says what is on record.
type Owners interface {
	IDs(into map[string]bool)     // of sandboxes and containers
	Cgroups(into map[string]bool) // theirs, with those above
}

// Search is where to look, and what has an owner.
type Search struct {
	Instance string
	Dirs     record.Dirs
	Cgroups  *cgroup.Tree
	Network  *network.Network
	Owners   Owners
}

// Leftover is something in the kernel or on disk that carries this instance and belongs to no sandbox on record.
type Leftover struct {
	What   string // "cgroup hull/besteffort/pod…"
	Remove func(context.Context) error
}

// sight is what of this instance there is, in the kernel and on disk, whoever it belongs to.
type sight struct {
	infra    map[int]string // names of infra processes, by PID
	cgroups  []string
	networks []string            // IDs of sandboxes
	dirs     map[string][]string // IDs, by the directory that they are in
}

// look looks at the kernel and the disk. Where one of these cannot be looked at, it says so, and has seen the others.
func (s *Search) look(ctx context.Context) (*sight, error) {
	seen := &sight{dirs: map[string][]string{}}
	var work sync.WaitGroup
	var infra, cgroups, networks, dirs error
	work.Go(func() { seen.infra, infra = processesNamed(infraPrefix(s.Instance)) })
	work.Go(func() { seen.cgroups, cgroups = s.Cgroups.List() })
	work.Go(func() {
		leaving := map[string]bool{} // noted before, as it may have left meanwhile, and after
		s.Network.Leaving(leaving)
		seen.networks, networks = s.Network.List(ctx)
		s.Network.Leaving(leaving)
		seen.networks = slices.DeleteFunc(seen.networks, func(id string) bool { return leaving[id] })
	})
	work.Go(func() {
		var programs []string
		programs, dirs = s.Dirs.ProgramTops()
		for _, top := range slices.Concat(s.Dirs.UpperTops(), programs, []string{s.Dirs.Sandboxes(), s.Dirs.Containers()}) {
			ids, err := record.IDs(top)
			seen.dirs[top], dirs = ids, errors.Join(dirs, err)
		}
	})
	work.Wait()
	return seen, errors.Join(infra, cgroups, networks, dirs)
}

// owned is what sandboxes and containers on record are found by. It is noted before the kernel is looked at, as something may
// be removed meanwhile, and again after that, as something may be made: what is on record at neither time has no owner.
type owned struct{ ids, cgroups map[string]bool }

// note adds what is on record now.
func (o *owned) note(owners Owners) {
	if o.ids == nil {
		o.ids, o.cgroups = map[string]bool{}, map[string]bool{}
	}
	owners.IDs(o.ids)
	owners.Cgroups(o.cgroups)
}

// List finds what has no owner; on a healthy Hull there is none. With an error, which says what could not be looked at, it is what was
// found elsewhere.
func (s *Search) List(ctx context.Context) ([]Leftover, error) {
	var known owned
	known.note(s.Owners)
	seen, err := s.look(ctx)
	known.note(s.Owners)
	return s.judge(seen, &known), err
}

// Ahead looks at what there is while the records are still read. Asked when those are all there, it tells whether each thing that it
// saw has an owner: nearly always. Nothing comes into being meanwhile that has none.
func (s *Search) Ahead(ctx context.Context) (nothingLeft func() bool) {
	var looking sync.WaitGroup
	var seen *sight
	var failed error
	looking.Go(func() { seen, failed = s.look(ctx) })
	return func() bool {
		if looking.Wait(); failed != nil {
			return false
		}
		var known owned
		known.note(s.Owners)
		return len(s.judge(seen, &known)) == 0
	}
}

// judge lists what was seen and has no owner. Processes come before what they are in.
func (s *Search) judge(seen *sight, known *owned) []Leftover {
	return slices.Concat(s.infra(seen, known), s.cgroups(seen, known), s.networks(seen, known), s.directories(seen, known))
}

// Remove takes all of it away. It is the same list that a leak check reads: what cannot be removed is found again by that.
func (s *Search) Remove(ctx context.Context, log *slog.Logger) {
	found, err := s.List(ctx)
	if err != nil {
		log.Error("what nobody owns cannot all be listed", "err", err)
	}
	for _, l := range found {
		log.Warn("removing what nobody owns", "what", l.What)
		if err := l.Remove(ctx); err != nil {
			log.Error("what nobody owns is not removed", "what", l.What, "err", err)
		}
	}
}

// infra is about infra processes: those that a dead keeper had are nobody's children.
func (s *Search) infra(seen *sight, known *owned) (list []Leftover) {
	for pid, name := range seen.infra {
		if known.ids[name[strings.LastIndexByte(name, ' ')+1:]] {
			continue
		}
		list = append(list, Leftover{fmt.Sprintf("process %d (%s)", pid, name), func(ctx context.Context) error {
			return killProcess(ctx, pid, name)
		}})
	}
	return list
}

func (s *Search) cgroups(seen *sight, known *owned) (list []Leftover) {
	for _, p := range seen.cgroups {
		if known.cgroups[p] || known.cgroups[filepath.Dir(p)] && filepath.Base(p) == cgroup.InfraLeaf {
			continue
		}
		list = append(list, Leftover{"cgroup " + p, func(ctx context.Context) error {
			g := s.Cgroups.Load(p)
			if err := g.Kill(ctx); err != nil {
				return err
			}
			return errors.Join(g.Remove(ctx), g.Prune())
		}})
	}
	return list
}

func (s *Search) networks(seen *sight, known *owned) (list []Leftover) {
	for _, id := range seen.networks {
		if !known.ids[id] {
			list = append(list, Leftover{"network of sandbox " + id, func(ctx context.Context) error {
				return s.Network.Detach(ctx, id)
			}})
		}
	}
	return list
}

// directories is about those of sandboxes and containers without a record, and what is mounted in them.
func (s *Search) directories(seen *sight, known *owned) (list []Leftover) {
	for top, ids := range seen.dirs {
		for _, id := range ids {
			if known.ids[id] {
				continue
			}
			dir := filepath.Join(top, id)
			list = append(list, Leftover{"directory " + dir, func(context.Context) error {
				if err := shm.Unmount(filepath.Join(dir, "shm")); err != nil { // in that of a sandbox
					return err
				}
				return linux.RemoveTree(dir)
			}})
		}
	}
	return list
}
