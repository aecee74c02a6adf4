package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// restarts is how often hulld is stopped and started.
const restarts = 7

// restart stops hulld under its Pods, which live on, and starts it again.
func (b *bench) restart(ctx context.Context) error {
	h, err := b.startHull(ctx, "restart")
	if err != nil {
		return err
	}
	empty, err := h.restarts(ctx)
	if err != nil {
		return err
	}
	if _, err := h.burst(ctx, 0, b.pods); err != nil {
		return err
	}
	full, err := h.restarts(ctx)
	if err != nil {
		return err
	}
	b.table.atMost(fmt.Sprintf("hulld from start to serving, %d Pods to adopt", b.pods), ms(median(full)), "ms", 150, "hull system start, from the shell")
	b.table.told("the same without Pods", ms(median(empty)), "ms", "")
	return h.stop()
}

func (h *hull) restarts(ctx context.Context) (all []time.Duration, err error) {
	for range restarts {
		if err := h.endDaemon(ctx); err != nil {
			return nil, err
		}
		took, err := h.run(ctx, "system", "start")
		if err != nil {
			return nil, err
		}
		all = append(all, took)
	}
	return all, nil
}

// endDaemon ends hulld alone: the keeper does not start it again when it ends because it was asked to.
func (h *hull) endDaemon(ctx context.Context) error {
	_, daemon, err := h.pids(ctx)
	if err != nil {
		return err
	}
	pidfd, err := linux.PidfdOpen(daemon)
	if err != nil {
		return err
	}
	defer func() { _ = pidfd.Close() }()
	if err := linux.PidfdSignal(pidfd, unix.SIGTERM); err != nil {
		return err
	}
	return linux.PidfdWait(pidfd)
}
