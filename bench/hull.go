package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/linux"
)

// hull is a keeper with a hulld, in directories of their own.
type hull struct {
	bin, root, state string
	api              *client.Client
	stopped          bool
}

// startHull starts one; it is stopped and removed at the end of the run, or by stop.
func (b *bench) startHull(ctx context.Context, name string, flags ...string) (*hull, error) {
	h := &hull{bin: b.bin, root: filepath.Join(b.dir, name, "root"), state: filepath.Join(b.dir, name, "state")}
	h.api = client.New(filepath.Join(h.state, "hull.sock"))
	if err := b.mountState(h.state); err != nil {
		return nil, err
	}
	b.then(h.stop)
	if _, err := h.run(ctx, append([]string{"system", "start", "--"}, flags...)...); err != nil {
		return nil, err
	}
	return h, nil
}

// mountState makes the state directory a tmpfs, as /run is wherever systemd is, and on few machines where tests run.
func (b *bench) mountState(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	m, err := linux.NewMount("tmpfs", "hull-bench", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV, linux.KeyValue("mode", "755"))
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	b.then(func() error { return detach(dir) })
	return linux.AttachPath(m, dir)
}

// stop removes all Pods, and ends hulld and keeper. A second call does nothing.
func (h *hull) stop() error {
	if h.stopped {
		return nil
	}
	if _, err := h.run(context.Background(), "system", "stop", "--delete-pods"); err != nil {
		return err
	}
	h.stopped = true
	return nil
}

// command is a hull command line.
func (h *hull) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(h.bin, "hull"), args...)
	cmd.Env = append(os.Environ(), "HULL_ROOT="+h.root, "HULL_STATE="+h.state)
	// A Ctrl-C is the bench's alone: it takes back what there is, with these commands.
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	return cmd
}

// run runs a hull command and tells how long it took.
func (h *hull) run(ctx context.Context, args ...string) (time.Duration, error) {
	return timed(h.command(ctx, args...))
}

func timed(cmd *exec.Cmd) (time.Duration, error) {
	var said bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &said
	}
	cmd.Stderr = &said
	from := time.Now()
	err := cmd.Run()
	took := time.Since(from)
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(said.String()))
	}
	return took, nil
}

// pids of keeper and hulld.
func (h *hull) pids(ctx context.Context) (keeper, daemon int, err error) {
	cmd := h.command(ctx, "system", "info", "-o", "json")
	var out bytes.Buffer
	cmd.Stdout = &out
	if _, err := timed(cmd); err != nil {
		return 0, 0, err
	}
	var info struct{ KeeperPID, PID int }
	if err := json.Unmarshal(out.Bytes(), &info); err != nil {
		return 0, 0, fmt.Errorf("decode hull system info: %w", err)
	}
	return info.KeeperPID, info.PID, nil
}

// onTwoCPUs runs fn on a thread that, with all that it starts, has two CPUs.
func onTwoCPUs(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its CPUs
		var set unix.CPUSet
		set.Set(0)
		set.Set(1)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			done <- fmt.Errorf("have two CPUs: %w", err)
			return
		}
		done <- fn()
	}()
	return <-done
}

// manifest is the Pod that everything is measured with: two containers of the toolbox image that end on SIGTERM.
func manifest(name string) []byte {
	container := func(n string) string {
		return "  - name: " + n + `
    image: localhost/hull/toolbox
    imagePullPolicy: IfNotPresent
    command: ["sleep", "infinity"]
`
	}
	return []byte("apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name +
		"\nspec:\n  terminationGracePeriodSeconds: 5\n  containers:\n" + container("one") + container("two"))
}

func podName(i int) string { return "bench-" + strconv.Itoa(i) }
