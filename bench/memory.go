package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// memoryRounds is how often bare Pods and Hull's take turns: the host has other uses for its memory meanwhile.
const memoryRounds = 3

// memory compares what a Pod of Hull's takes of the host with the same namespaces, cgroups and mounts alone.
func (b *bench) memory(ctx context.Context) error {
	g, err := b.ground(ctx)
	if err != nil {
		return err
	}
	h, err := b.startHull(ctx, "memory")
	if err != nil {
		return err
	}
	keeper, daemon, err := h.pids(ctx)
	if err != nil {
		return err
	}
	// The first Pod fills caches that there is one of.
	if _, err := h.memory(ctx, 1, keeper, daemon); err != nil {
		return err
	}
	var bare, pods, hulld, keep []float64
	for range memoryRounds {
		k, err := b.bareMemory(ctx, g)
		if err != nil {
			return err
		}
		bare = append(bare, k)
		t, err := h.memory(ctx, b.pods, keeper, daemon)
		if err != nil {
			return err
		}
		pods, hulld, keep = append(pods, t.kernel), append(hulld, t.hulld), append(keep, t.keeper)
	}
	growth, note := hulld[0]+keep[0], fmt.Sprintf("hulld %s, keeper %s KiB; after the second and third hundred %s and %s",
		number(hulld[0]), number(keep[0]), number(hulld[1]), number(hulld[2]))
	const kb = 1024.0 / 1000 // the target is in KB
	b.table.atMost("hulld and keeper grow, each Pod", growth*kb, "KB", 100, note)
	r := row{Name: "host memory of a Pod", Value: median(pods) + growth, Unit: "KiB", Peer: median(bare), Of: "bare", Target: "≤ 1.3 ×",
		Note: fmt.Sprintf("in the kernel %s", number(median(pods)))}
	r.OK = r.Value <= 1.3*r.Peer
	b.table.add(r)
	return h.stop()
}

// settle gives the kernel time to free what it frees behind everybody's back, and hulld to see that a burst is over.
func settle(ctx context.Context) error { return pause(ctx, 2500*time.Millisecond) }

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bareMemory is what a bare Pod takes.
func (b *bench) bareMemory(ctx context.Context, g *ground) (_ float64, err error) {
	if err := settle(ctx); err != nil {
		return 0, err
	}
	before, err := kernelKiB()
	if err != nil {
		return 0, err
	}
	var all []*barePod
	defer func() {
		for _, p := range all {
			err = errors.Join(err, p.remove(context.WithoutCancel(ctx)))
		}
	}()
	for i := range b.pods {
		p, err := g.pod(ctx, fmt.Sprintf("bare-%d", i))
		if err != nil {
			return 0, err
		}
		all = append(all, p)
		if err := p.veth(ctx, i); err != nil {
			return 0, err
		}
	}
	if err := settle(ctx); err != nil {
		return 0, err
	}
	after, err := kernelKiB()
	return (after - before) / float64(b.pods), err
}

// taken is what a Pod takes, in KiB.
type taken struct{ kernel, hulld, keeper float64 }

func (h *hull) memory(ctx context.Context, pods, keeper, daemon int) (t taken, err error) {
	if err := settle(ctx); err != nil {
		return t, err
	}
	before, err := snapshot(keeper, daemon)
	if err != nil {
		return t, err
	}
	if _, err := h.burst(ctx, 0, pods); err != nil {
		return t, err
	}
	if err := settle(ctx); err != nil {
		return t, err
	}
	after, err := snapshot(keeper, daemon)
	if err != nil {
		return t, err
	}
	n := float64(pods)
	t = taken{(after.kernel - before.kernel) / n, (after.hulld - before.hulld) / n, (after.keeper - before.keeper) / n}
	_, err = h.remove(ctx, 0, pods)
	return t, err
}

func snapshot(keeper, daemon int) (t taken, err error) {
	if t.kernel, err = kernelKiB(); err != nil {
		return t, err
	}
	if _, t.hulld, err = processKiB(daemon); err != nil {
		return t, err
	}
	_, t.keeper, err = processKiB(keeper)
	return t, err
}
