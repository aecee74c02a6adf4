package fate

import (
	"context"
	"os"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/linux"
)

// Process is a pidfd of the process of a keeper's record; nil when it has ended, and then its exit is on the way. An error says
// nothing about the process, which may live.
func Process(ctx context.Context, client *keeper.Client, k *keeper.Record) (*os.File, error) {
	fd, err := client.OpenProcess(ctx, k.Key, k.PID)
	if errdefs.IsNotFound(err) {
		return nil, nil
	}
	return fd, err
}

// Kill ends the process of a keeper's record, and waits for that.
func Kill(ctx context.Context, client *keeper.Client, k *keeper.Record) error {
	fd, err := Process(ctx, client, k)
	if fd == nil {
		return err
	}
	defer func() { _ = fd.Close() }()
	return linux.PidfdKill(ctx, fd)
}
