// Package daemon builds every piece of hulld once, in order, and closes them in reverse.
package daemon

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/hull-pods/hull/internal/failpoint"
)

// Main is the program hulld, without its name in args. It returns the exit code.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	// The main thread cannot be thrown away when a goroutine has left it in another namespace or cgroup.
	runtime.LockOSThread()
	c, err := parse(args, version, stdout, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = failpoint.Set(c.failpoints)
	}
	if err != nil {
		slog.New(slog.NewTextHandler(stderr, nil)).Error("hulld ends", "err", err) // hull tells what the log ends with
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: c.level}))
	klog.SetSlogLogger(log) // Kubernetes' packages have no other way to log
	if err := run(ctx, c, log); err != nil {
		log.Error("hulld ends", "err", err)
		return 1
	}
	return 0
}
