// Package live runs a real Hull for a test: keeper, hulld and the command line, in directories of their own.
package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/linux"
)

// Hull is a real keeper with a real hulld, in directories of its own.
type Hull struct {
	CLI
	API *client.Client

	args []string
}

// Option changes how a Hull under test is started.
type Option func(*Hull)

// Flags adds flags to hulld's command line.
func Flags(args ...string) Option { return func(h *Hull) { h.args = append(h.args, args...) } }

// Pool gives Pods addresses that those of other Hulls under test on this machine do not have.
func Pool() Option {
	return func(h *Hull) { h.args = append(h.args, "--pod-cidr", hulltest.Pool(h.t).String()) }
}

// startLimit is how long a hulld under test may take to serve on a machine that is busy with other tests.
const startLimit = time.Minute

// Start runs a Hull, and registers its end: all Pods are removed, keeper and hulld stop, and what is left of them in the
// kernel fails the test.
func Start(t testing.TB, opts ...Option) *Hull {
	t.Helper()
	hulltest.NeedRoot(t)
	// Not t.TempDir: a unix socket's path is shorter than 108 bytes.
	dir, err := os.MkdirTemp("", "hulltest-")
	if err != nil {
		t.Fatal(err)
	}
	h := &Hull{CLI: CLI{Root: filepath.Join(dir, "root"), State: filepath.Join(dir, "state"), t: t, bin: Binaries(t)}}
	for _, o := range opts {
		o(h)
	}
	h.API = client.New(filepath.Join(h.State, "hull.sock"))
	t.Cleanup(func() {
		h.end()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	h.Up()
	return h
}

// Up starts keeper and hulld if they do not run, and returns when hulld serves.
func (h *Hull) Up() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.t.Context()), startLimit)
	defer cancel()
	if _, err := keeper.Detach(ctx, filepath.Join(h.bin, "hull-keeper"), h.State, h.line(), os.Environ()); err != nil {
		h.t.Fatalf("start hulld: %v\n%s", err, h.Log())
	}
}

// line is hulld's command line.
func (h *Hull) line() []string {
	return append([]string{filepath.Join(h.bin, "hulld"), "--root", h.Root, "--state", h.State}, h.args...)
}

// Faults is the first sign in the log of what must never be, and which the keeper's restart of hulld would hide; "" when there
// is none.
func (h *Hull) Faults() string {
	for line := range strings.Lines(h.Log()) {
		for _, sign := range []string{"panic: ", "fatal error: ", "WARNING: DATA RACE"} {
			if strings.HasPrefix(line, sign) {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}

// end removes all Pods and stops everything.
func (h *Hull) end() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	ended := h.keeperEnd(ctx)
	cmd := h.command(ctx, "system", "stop", "--delete-pods")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Errorf("hull system stop: %v\n%s\nhulld's log:\n%s", err, out, h.Log())
	}
	ended()
	if left := h.Leaks(); len(left) > 0 {
		h.t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	if f := h.Faults(); f != "" {
		h.t.Errorf("hulld has a fault: %s", f)
	}
	if h.t.Failed() {
		h.t.Logf("hulld's log:\n%s", h.Log())
	}
}

// keeperEnd returns a function that waits for the end of the keeper that runs now.
func (h *Hull) keeperEnd(ctx context.Context) func() {
	a, err := h.askKeeper()
	if err != nil {
		return func() {}
	}
	fd, err := linux.PidfdOpen(a.Keeper.PID)
	if err != nil {
		return func() {}
	}
	return func() {
		defer func() { _ = fd.Close() }()
		stop := context.AfterFunc(ctx, func() { _ = fd.Close() })
		defer stop()
		if err := linux.PidfdWait(fd); err != nil {
			h.t.Errorf("wait for the end of hull-keeper: %v", err)
		}
	}
}

var built struct {
	once sync.Once
	dir  string
	err  error
}

// Binaries is the directory of hull, hulld and hull-keeper: $HULL_BIN, or one that is built for this run of the tests.
func Binaries(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("HULL_BIN"); dir != "" {
		for _, name := range []string{"hull", "hulld", "hull-keeper"} {
			// What "go test" sees a test look at, it looks at again before it takes an earlier result for this one's.
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	built.once.Do(func() {
		_, file, _, _ := runtime.Caller(0)
		top := filepath.Join(filepath.Dir(file), "..", "..", "..")
		cmd := exec.Command("make", "-s", "-C", top, "build")
		out, err := cmd.CombinedOutput()
		built.dir = filepath.Join(top, "bin")
		if err != nil {
			built.err = fmt.Errorf("make build: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.dir
}
