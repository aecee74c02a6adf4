package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hull-pods/hull/internal/client"
)

// many makes and removes Pods by the hundred, with two CPUs for Hull and all that it runs.
func (b *bench) many(ctx context.Context) error {
	var h *hull
	err := onTwoCPUs(func() (err error) {
		h, err = b.startHull(ctx, "many")
		return err
	})
	if err != nil {
		return err
	}
	if err := b.atRest(ctx, h); err != nil {
		return err
	}
	_, daemon, err := h.pids(ctx)
	if err != nil {
		return err
	}
	before, err := cpuTime(daemon)
	if err != nil {
		return err
	}
	made, err := h.burst(ctx, 0, b.pods)
	if err != nil {
		return err
	}
	after, err := cpuTime(daemon)
	if err != nil {
		return err
	}
	n := float64(b.pods)
	b.table.atLeast(fmt.Sprintf("%d Pods at once", b.pods), n/made.Seconds(), "Pods/s", 80, "hulld, keeper and Pods on 2 CPUs")
	b.table.told("CPU time of hulld for each of them", (after-before)/n, "ms", "user and system, of clones too")
	if err := b.get(ctx, h); err != nil {
		return err
	}
	took, err := h.remove(ctx, 0, b.pods)
	if err != nil {
		return err
	}
	b.table.atMost("until all are removed", took.Seconds(), "s", 2, "")
	if b.long {
		if err := b.thousand(ctx, h); err != nil {
			return err
		}
	}
	return h.stop()
}

func (b *bench) atRest(ctx context.Context, h *hull) error {
	keeper, daemon, err := h.pids(ctx)
	if err != nil {
		return err
	}
	resident, own, err := processKiB(daemon)
	if err != nil {
		return err
	}
	b.table.atMost("hulld resident at rest", resident/1024, "MiB", 60, fmt.Sprintf("of which anonymous %s MiB", number(own/1024)))
	if resident, own, err = processKiB(keeper); err != nil {
		return err
	}
	b.table.atMost("keeper resident at rest", resident/1024, "MiB", 4, fmt.Sprintf("of which anonymous %s MiB", number(own/1024)))
	return nil
}

func (b *bench) get(ctx context.Context, h *hull) error {
	var all []time.Duration
	for range b.runs {
		took, err := h.run(ctx, "get", "pods")
		if err != nil {
			return err
		}
		all = append(all, took)
	}
	b.table.atMost(fmt.Sprintf("hull get pods with %d Pods", b.pods), ms(median(all)), "ms", 15, "")
	return nil
}

// thousand makes Pods a hundred at a time while the earlier ones run.
func (b *bench) thousand(ctx context.Context, h *hull) error {
	const hundreds = 10
	var first, last time.Duration
	for i := range hundreds {
		took, err := h.burst(ctx, i*100, 100)
		if err != nil {
			return err
		}
		if i == 0 {
			first = took
		}
		last = took
	}
	b.table.atLeast("1,000 Pods: rate of the last hundred to the first's", first.Seconds()/last.Seconds(), "", 2.0/3,
		fmt.Sprintf("%s and %s Pods/s", number(100/first.Seconds()), number(100/last.Seconds())))
	took, err := h.remove(ctx, 0, hundreds*100)
	if err != nil {
		return err
	}
	b.table.told("until 1,000 are removed", took.Seconds(), "s", "")
	return nil
}

const podsPath = "/api/v1/namespaces/default/pods"

// atOnce is how many requests are under way.
const atOnce = 16

// burst makes Pods and waits until all are ready.
func (h *hull) burst(ctx context.Context, from, count int) (time.Duration, error) {
	return h.until(ctx, from, count, func(ctx context.Context, name string) error {
		return h.api.Do(ctx, client.Request{Method: "POST", Path: podsPath, Body: manifest(name), Type: "application/yaml"}, nil)
	}, func(kind string, p *podState) bool { return p.ready() })
}

// remove deletes Pods and waits until all are gone.
func (h *hull) remove(ctx context.Context, from, count int) (time.Duration, error) {
	return h.until(ctx, from, count, func(ctx context.Context, name string) error {
		return h.api.Do(ctx, client.Request{Method: "DELETE", Path: podsPath + "/" + name}, nil)
	}, func(kind string, p *podState) bool { return kind == "DELETED" })
}

// podState is what of a Pod decides when it is there.
type podState struct {
	Metadata struct{ Name string }
	Status   struct {
		Conditions []struct{ Type, Status string }
	}
}

func (p *podState) ready() bool {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

// until asks for something of each Pod, and waits until the watch has told of all that it came true.
func (h *hull) until(ctx context.Context, from, count int, ask func(context.Context, string) error, done func(string, *podState) bool) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	waiting := map[string]bool{}
	for i := range count {
		waiting[podName(from+i)] = true
	}
	begin := time.Now()
	var asked errgroup.Group
	asked.SetLimit(atOnce + 1)
	asked.Go(func() error {
		err := h.api.Watch(ctx, client.Request{Path: podsPath}, func(e client.Event) error {
			var p podState
			if err := json.Unmarshal(e.Object, &p); err != nil {
				return err
			}
			if done(e.Type, &p) {
				delete(waiting, p.Metadata.Name)
			}
			if len(waiting) == 0 {
				return client.ErrStop
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("%d of %d Pods are waited for: %w", len(waiting), count, err)
		}
		return nil
	})
	for i := range count {
		name := podName(from + i)
		asked.Go(func() error {
			err := ask(ctx, name)
			if err != nil {
				cancel()
			}
			return err
		})
	}
	err := asked.Wait()
	return time.Since(begin), err
}
