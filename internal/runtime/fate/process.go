package fate

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

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

// Kill ends the process of a keeper's record, and waits for that; thaw gets its PID, for a process that is frozen does not end.
func Kill(ctx context.Context, client *keeper.Client, k *keeper.Record, thaw func(pid int) error) error {
	fd, err := Process(ctx, client, k)
	if fd == nil {
		return err
	}
	defer func() { _ = fd.Close() }()
	if err := linux.PidfdSignal(fd, unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := thaw(k.PID); err != nil {
		return err
	}
	return linux.PidfdKill(ctx, fd)
}

// endLimit is how long a start waits for the end of what it has killed. A process may hang in the kernel, on a file system of
// another machine say, and that must not keep hulld from all others.
const endLimit = 10 * time.Second

// KillAll ends the processes of records, all at once, and returns the keys of those that have ended. What does not end in time is
// left to the keeper, for the next hulld.
func KillAll(ctx context.Context, client *keeper.Client, list []*keeper.Record, thaw func(pid int) error, log *slog.Logger) ([]string, error) {
	limited, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	var all errgroup.Group
	var mu sync.Mutex
	var keys []string
	for _, k := range list {
		all.Go(func() error {
			if k.PID != 0 && k.Exit == nil {
				err := Kill(limited, client, k, thaw)
				if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
					log.Error("a process that an earlier hulld left does not end", "key", k.Key, "pid", k.PID)
					return nil
				}
				if err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			keys = append(keys, k.Key)
			return nil
		})
	}
	return keys, all.Wait()
}
