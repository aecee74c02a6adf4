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

	"golang.org/x/sync/errgroup"

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

// Remove takes all of it away. It is the same list that a leak check reads: what cannot be removed is found again by that.
func (s *Search) Remove(ctx context.Context, log *slog.Logger) {
	found, err := s.List(ctx)
	if err != nil {
		log.Error("what nobody owns cannot be listed", "err", err)
	}
	for _, l := range found {
		log.Warn("removing what nobody owns", "what", l.What)
		if err := l.Remove(ctx); err != nil {
			log.Error("what nobody owns is not removed", "what", l.What, "err", err)
		}
	}
}

// List finds it; on a healthy Hull there is none.
func (s *Search) List(ctx context.Context) ([]Leftover, error) {
	lists := []func(context.Context) ([]Leftover, error){s.infra, s.cgroups, s.networks, s.directories}
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

// owned is what sandboxes and containers on record are found by. It is filled before the kernel is looked at, as something may
// be removed meanwhile, and again after that, as something may be made: what is on record at neither time has no owner.
type owned = map[string]bool

// infra finds infra processes by their name: those that a dead keeper had are nobody's children.
func (s *Search) infra(context.Context) ([]Leftover, error) {
	known := owned{}
	s.Owners.IDs(known)
	procs, err := processesNamed(infraPrefix(s.Instance))
	if err != nil {
		return nil, err
	}
	s.Owners.IDs(known)
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

func (s *Search) cgroups(context.Context) ([]Leftover, error) {
	known := owned{}
	s.Owners.Cgroups(known)
	paths, err := s.Cgroups.List()
	if err != nil {
		return nil, err
	}
	s.Owners.Cgroups(known)
	var list []Leftover
	for _, p := range paths {
		if known[p] || known[filepath.Dir(p)] && filepath.Base(p) == cgroup.InfraLeaf {
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
	return list, nil
}

func (s *Search) networks(ctx context.Context) ([]Leftover, error) {
	known := owned{}
	s.Owners.IDs(known)
	owners, err := s.Network.List(ctx)
	if err != nil {
		return nil, err
	}
	s.Owners.IDs(known)
	var list []Leftover
	for _, id := range owners {
		if !known[id] && !s.Network.Leaving(id) {
			list = append(list, Leftover{"network of sandbox " + id, func(ctx context.Context) error {
				return s.Network.Detach(ctx, id)
			}})
		}
	}
	return list, nil
}

// directories finds directories of sandboxes and containers without a record, and what is mounted in them.
func (s *Search) directories(context.Context) ([]Leftover, error) {
	known := owned{}
	s.Owners.IDs(known)
	var list []Leftover
	for _, top := range append(s.Dirs.UpperTops(), s.Dirs.Sandboxes(), s.Dirs.Containers()) {
		ids, err := record.IDs(top)
		if err != nil {
			return nil, err
		}
		s.Owners.IDs(known)
		for _, id := range ids {
			if known[id] {
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
	return list, nil
}
