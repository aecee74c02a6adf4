package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

func detach(path string) error { return unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) }

// slowRuns is how often podman's slow commands are run.
const slowRuns = 5

// pod compares a Pod of two, from the shell: its start, an exec in it, its removal.
func (b *bench) pod(ctx context.Context) error {
	h, err := b.startHull(ctx, "pod")
	if err != nil {
		return err
	}
	file := filepath.Join(b.dir, "pod.yaml")
	if err := os.WriteFile(file, manifest("bench"), 0o600); err != nil {
		return err
	}
	peer, note := newPodman(ctx, b)
	var own, theirs shellTimes
	for i := range max(b.runs, slowRuns) {
		if err := own.round(ctx, b.hullCommands(h, file), 10); err != nil {
			return err
		}
		if peer != nil && i < slowRuns {
			if err := theirs.round(ctx, peer.commands(file), 3); err != nil {
				peer, theirs, note = nil, shellTimes{}, err.Error()
			}
		}
	}
	b.table.against("hull run -d of a Pod of two", own.start.skipFirst(), theirs.start.skipFirst(), "podman kube play", 25, note)
	b.table.against("hull exec POD -- true", own.exec.skipFirst(), theirs.exec.skipFirst(), "podman exec", 15, note)
	b.table.against("hull delete of it", own.remove.skipFirst(), theirs.remove.skipFirst(), "podman kube down", 10, note)
	b.table.told("the hull command doing nothing (hull help)", ms(median(own.nothing.skipFirst())), "ms", "what a shell waits for in any case")
	return h.stop()
}

// commands are one peer's: each is timed.
type commands struct {
	start, exec, remove, nothing func(context.Context) (time.Duration, error)
}

func (b *bench) hullCommands(h *hull, file string) commands {
	line := func(args ...string) func(context.Context) (time.Duration, error) {
		return func(ctx context.Context) (time.Duration, error) { return h.run(ctx, args...) }
	}
	return commands{
		start: line("run", "-d", file), exec: line("exec", "bench", "--", "true"), remove: line("delete", "pod", "bench"),
		nothing: line("help"),
	}
}

func (p *podman) commands(file string) commands {
	line := func(args ...string) func(context.Context) (time.Duration, error) {
		return func(ctx context.Context) (time.Duration, error) { return p.run(ctx, args...) }
	}
	return commands{
		start: line("kube", "play", file), exec: line("exec", "bench-one", "true"), remove: line("kube", "down", file),
		nothing: line("--version"),
	}
}

type times []time.Duration

// skipFirst leaves out the first, which fills caches.
func (t times) skipFirst() []time.Duration {
	if len(t) < 2 {
		return t
	}
	return t[1:]
}

type shellTimes struct{ start, exec, remove, nothing times }

func (t *shellTimes) round(ctx context.Context, c commands, execs int) error {
	for _, step := range []struct {
		to    *times
		do    func(context.Context) (time.Duration, error)
		times int
	}{{&t.nothing, c.nothing, 1}, {&t.start, c.start, 1}, {&t.exec, c.exec, execs}, {&t.remove, c.remove, 1}} {
		for range step.times {
			took, err := step.do(ctx)
			if err != nil {
				return err
			}
			*step.to = append(*step.to, took)
		}
	}
	return nil
}
