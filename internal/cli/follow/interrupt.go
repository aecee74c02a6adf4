package follow

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/hull-pods/hull/internal/cli/console"
)

// interrupted removes the Pods, unless they were to run on. Asked a second time it kills them, a third time it goes without
// waiting.
func (r *runner) interrupted(ctx context.Context) error {
	if r.detach {
		return &console.CodeError{Code: console.Interrupted}
	}
	asked := make(chan os.Signal, 2)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(asked)
	for _, p := range r.pods {
		r.warnf("pod/%s: removing\n", r.name(p))
	}
	r.warnf("Ctrl-C again kills at once\n")
	gone := r.removal(ctx, nil)
	killing := false
	for {
		select {
		case err := <-gone:
			if err == nil {
				err = &console.CodeError{Code: console.Interrupted}
			}
			return err
		case <-asked:
		}
		if killing {
			r.warnf("not waiting for the end of the removal\n")
			return &console.CodeError{Code: console.Interrupted}
		}
		killing = true
		for _, p := range r.pods {
			r.warnf("pod/%s: killing (grace period 0)\n", r.name(p))
		}
		gone = r.removal(ctx, new(int64))
	}
}

// removal removes all Pods, and tells when they are gone and their last words are said.
func (r *runner) removal(ctx context.Context, grace *int64) <-chan error {
	var all errgroup.Group
	for _, p := range r.pods {
		all.Go(func() error { return r.remove(ctx, p, grace) })
	}
	gone := make(chan error, 1)
	go func() {
		err := all.Wait()
		_ = r.work.Wait() // a log that broke off is of no interest any more
		gone <- err
	}()
	return gone
}
