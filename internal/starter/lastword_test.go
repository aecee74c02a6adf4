package starter_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
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

// TestKilledBeforeItsCommand: whenever the new process is killed, by the kernel for want of memory say, the start says so.
func TestKilledBeforeItsCommand(t *testing.T) {
	n := newNative(t)
	lower := busyboxRoot(t)
	var pid int
	kill := func() {
		fd, err := linux.PidfdOpen(pid)
		must(t, err)
		must(t, linux.PidfdSignal(fd, unix.SIGKILL))
		must(t, linux.PidfdWait(fd))
		must(t, fd.Close())
	}
	for name, at := range map[string]string{"before its program is sent": "born", "before it may go on": "ready"} {
		t.Run(name, func(t *testing.T) {
			_, err := run(t, n, starter.Request{
				Key: "c", Spec: spec(t, oci.Config{Args: []string{"true"}}), Rootfs: rootfs(t, lower),
				Born: func(p int) error {
					if pid = p; at == "born" {
						kill()
					}
					return nil
				},
				Ready: func(context.Context, starter.Facts) error {
					if at == "ready" {
						kill()
					}
					return nil
				},
			})
			if err == nil || !strings.Contains(err.Error(), "the process was killed before it ran its command") {
				t.Errorf("got %v", err)
			}
			reapStage(t)
		})
	}
}
