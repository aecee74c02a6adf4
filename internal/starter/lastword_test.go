package starter_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

// TestFailureBeforeTheWordToGoOn: a process whose start fails while what it waits for takes its time is gone when the word is given.
// The step that failed is told all the same.
func TestFailureBeforeTheWordToGoOn(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	must(t, os.RemoveAll(filepath.Join(lower, "dev")))
	must(t, os.WriteFile(filepath.Join(lower, "dev"), nil, 0o644)) // nothing can be mounted in it
	for name, c := range map[string]func(context.Context) error{
		"the word is too late":   func(context.Context) error { return nil },
		"the word is not waited": context.Cause,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(t, n, starter.Request{
				Key: "c", Spec: spec(t, oci.Config{Args: []string{"true"}}), Rootfs: rootfs(t, lower),
				Ready: func(ctx context.Context, _ starter.Facts) error {
					<-ctx.Done() // the process has ended
					return c(ctx)
				},
			})
			var step *starter.StepError
			if !errors.As(err, &step) {
				t.Errorf("got %v", err)
			}
			reapStage(t)
		})
	}
}
