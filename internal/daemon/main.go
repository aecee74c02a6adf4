// Package daemon builds every piece of hulld once, in order, and closes them in reverse.
package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
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
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "hulld:", err)
		return 2
	}
	if err := failpoint.Set(c.failpoints); err != nil {
		_, _ = fmt.Fprintln(stderr, "hulld:", err)
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
