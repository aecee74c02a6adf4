package cgroup

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/cgroups"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// PIDs lists the processes of the group and of the groups below it; none for a group that does not exist.
func (g *Group) PIDs() ([]int, error) {
	dir := g.of("pids")
	if dir == "" {
		dir = g.dir(g.t.hierarchies[0])
	}
	pids, err := cgroups.GetAllPids(dir)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the processes of cgroup %s: %w", g.Path(), err)
	}
	return pids, nil
}

// Kill ends every process of the group and of the groups below it, and waits until they have ended. A process that forks
// faster than it is killed is caught because its children are in the group too: it goes on until the group is empty.
func (g *Group) Kill(ctx context.Context) error {
	if g.t.unified {
		err := write(filepath.Join(g.dir(g.t.hierarchies[0]), "cgroup.kill"), "1")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("kill cgroup %s: %w", g.Path(), err)
		}
	}
	for {
		pids, err := g.PIDs()
		if err != nil || len(pids) == 0 {
			return err
		}
		err = g.killAll(ctx, pids)
		if err == nil {
			err = context.Cause(ctx) // there may have been none to wait for
		}
		if err != nil {
			return fmt.Errorf("kill cgroup %s: %w", g.Path(), err)
		}
	}
}

// killAll signals all of them before it waits for any.
func (g *Group) killAll(ctx context.Context, pids []int) error {
	var held []*os.File
	defer func() {
		for _, f := range held {
			_ = f.Close()
		}
	}()
	for _, pid := range pids {
		fd, err := linux.PidfdOpen(pid)
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
			continue // ended, or a thread whose process is on the list
		}
		if err != nil {
			return err
		}
		if !g.has(pid) {
			_ = fd.Close()
			continue // ended since it was listed: its number may be another's, which the descriptor is of then
		}
		held = append(held, fd)
		if err := linux.PidfdSignal(fd, unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
	}
	if err := g.Thaw(); err != nil {
		return err
	}
	// The end of the context ends every wait.
	stop := context.AfterFunc(ctx, func() {
		for _, fd := range held {
			_ = fd.SetReadDeadline(time.Unix(1, 0)) // long past
		}
	})
	defer stop()
	for _, fd := range held {
		if err := linux.PidfdWait(fd); err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
	}
	return nil
}

// has tells whether a process is in the group now, or in one below it. To ask the process is cheaper than to read the list
// again, but one that is about to end says that it is in the root, and paths look different from within a cgroup namespace.
func (g *Group) has(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return false // it has ended
	}
	for line := range strings.Lines(string(data)) { // ID:CONTROLLERS:PATH
		if strings.Contains(strings.TrimSuffix(line, "\n")+"/", g.Path()+"/") {
			return true
		}
	}
	pids, err := g.PIDs()
	return err == nil && slices.Contains(pids, pid)
}

// Starved adds to why a process has not come to run that its memory limit is too low, if the kernel has killed for that.
func (g *Group) Starved(err error) error {
	if n, unknown := g.OOMKills(); err == nil || unknown != nil || n == 0 {
		return err
	}
	return fmt.Errorf("%w: out of memory: its limit is too low", err)
}

// OOMKills is how many processes of the group the kernel has killed for want of memory; 0 for a group that does not exist.
//
// The count is in place before a killed process can be seen to have ended, so that reading it once at a container's exit
// is enough to tell OOMKilled from another SIGKILL: no listener, descriptor or goroutine is needed while containers run.
// It counts the victim's own group on v1, and those below it too on v2, whichever group's limit was reached.
func (g *Group) OOMKills() (n uint64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read the OOM kills of cgroup %s: %w", g.Path(), err)
		}
	}()
	dir, file := g.of("memory"), "memory.oom_control"
	if g.t.unified {
		file = "memory.events"
	}
	if dir == "" {
		return 0, nil
	}
	f, err := os.Open(filepath.Join(dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "oom_kill "); ok {
			return strconv.ParseUint(value, 10, 64)
		}
	}
	return 0, lines.Err()
}

// Usage is what a group has used, and uses.
type Usage struct {
	CPU           time.Duration // in all
	Memory        uint64        // now
	MemoryWorking uint64        // less what could be given back at once, as the kubelet counts it
	Pids          uint64
}

// Usage reads the group's counters.
func (g *Group) Usage() (Usage, error) {
	var u Usage
	err := g.manage(&cgroups.Cgroup{}, func(m manager, _ *cgroups.Cgroup) error {
		s, err := m.Stats(&cgroups.StatsOptions{Controllers: cgroups.CPU | cgroups.Memory | cgroups.Pids})
		if err != nil {
			return err
		}
		u = Usage{CPU: time.Duration(s.CpuStats.CpuUsage.TotalUsage), Memory: s.MemoryStats.Usage.Usage, Pids: s.PidsStats.Current}
		inactive := s.MemoryStats.Stats["total_inactive_file"]
		if g.t.unified {
			inactive = s.MemoryStats.Stats["inactive_file"]
		}
		u.MemoryWorking = u.Memory - min(inactive, u.Memory)
		return nil
	})
	if err != nil {
		return Usage{}, fmt.Errorf("read the usage of cgroup %s: %w", g.Path(), err)
	}
	return u, nil
}

// Waits between tries to remove a group that is still busy: a process that has been reaped may hold it for a moment more,
// and the kernel has no event for the end of that on v1.
const (
	busyFirst = 200 * time.Microsecond
	busyMost  = 50 * time.Millisecond
	busyLimit = 10 * time.Second // of all: what is busy for longer has a process that does not end
)

// Remove removes a group that has no process any more, with the groups below it. One that does not exist is fine.
func (g *Group) Remove(ctx context.Context) error { return g.removeWithin(ctx, busyLimit) }

func (g *Group) removeWithin(ctx context.Context, limit time.Duration) error {
	wait := busyFirst
	for began := time.Now(); ; {
		err := rmdirs(g.dirs())
		if err == nil || !errors.Is(err, unix.EBUSY) || time.Since(began) >= limit {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
			wait = min(2*wait, busyMost)
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", err, context.Cause(ctx))
		}
	}
}

// rmdirs removes groups, and goes on past one where it cannot.
func rmdirs(dirs []string) error {
	var errs []error
	for _, dir := range dirs {
		if err := rmdir(dir); err != nil {
			errs = append(errs, fmt.Errorf("remove cgroup %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// rmdir removes a group, and first what a container has made below its own.
func rmdir(dir string) error {
	err := unix.Rmdir(dir)
	if err == nil || err == unix.ENOENT {
		return nil
	}
	if err != unix.EBUSY && err != unix.ENOTEMPTY {
		return err
	}
	entries, rerr := os.ReadDir(dir)
	if rerr != nil {
		if errors.Is(rerr, fs.ErrNotExist) {
			return nil
		}
		return rerr
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := rmdir(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(dir); err != nil && err != unix.ENOENT {
		return err
	}
	return nil
}

// Prune removes the group's parents, up to and with the Hull's own, as far as they are empty and not kept.
func (g *Group) Prune() error {
	g.t.prune.Lock()
	defer g.t.prune.Unlock()
	for _, h := range g.t.places {
		top := filepath.Join(h.root, g.t.parent)
		for dir := filepath.Dir(g.dir(h)); strings.HasPrefix(dir, top) && !g.t.keeps(h, dir); dir = filepath.Dir(dir) {
			gone, err := rmdirEmpty(dir)
			if err != nil {
				return err
			}
			if !gone {
				break
			}
		}
	}
	return nil
}
