package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// podman is a peer with storage and state of its own.
type podman struct {
	exe, dir string
	env      []string
}

// Without the limits podman asks for more than a machine without CAP_SYS_RESOURCE gives.
const podmanConf = `[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`

func newPodman(ctx context.Context, b *bench) (*podman, string) {
	exe, err := exec.LookPath("podman")
	if err != nil {
		return nil, "podman is not installed"
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return nil, "runc is not installed"
	}
	p := &podman{exe: exe, dir: filepath.Join(b.dir, "podman")}
	if err := p.prepare(ctx); err != nil {
		return nil, err.Error()
	}
	b.then(p.remove)
	return p, ""
}

func (p *podman) prepare(ctx context.Context) error {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	conf, storage := filepath.Join(p.dir, "containers.conf"), filepath.Join(p.dir, "storage.conf")
	where := fmt.Sprintf("[storage]\ndriver = \"overlay\"\nrunroot = %q\ngraphroot = %q\n", filepath.Join(p.dir, "run"), filepath.Join(p.dir, "root"))
	if err := errors.Join(os.WriteFile(conf, []byte(podmanConf), 0o600), os.WriteFile(storage, []byte(where), 0o600)); err != nil {
		return err
	}
	p.env = append(os.Environ(), "CONTAINERS_CONF="+conf, "CONTAINERS_STORAGE_CONF="+storage)
	_, err := p.run(ctx, "load", "--input", archive)
	return err
}

func (p *podman) run(ctx context.Context, args ...string) (time.Duration, error) {
	at := func(name string) string { return filepath.Join(p.dir, name) }
	args = append([]string{
		"--root", at("root"), "--runroot", at("run"), "--tmpdir", at("tmp"), "--network-config-dir", at("networks"), "--runtime", "runc",
	}, args...)
	cmd := exec.CommandContext(ctx, p.exe, args...)
	cmd.Env = p.env
	return timed(cmd)
}

// remove takes back Pods, mounts and storage.
func (p *podman) remove() error {
	ctx := context.Background()
	_, pods := p.run(ctx, "pod", "rm", "--all", "--force", "--time", "0")
	// podman's own image of its pause program, and the toolbox.
	_, images := p.run(ctx, "rmi", "--all", "--force")
	err := errors.Join(pods, images)
	// What podman keeps mounted under its root goes with the directory.
	if data, e := os.ReadFile("/proc/self/mountinfo"); e == nil {
		for _, line := range strings.Split(string(data), "\n") {
			if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], p.dir+"/") {
				err = errors.Join(err, detach(f[4]))
			}
		}
	}
	return err
}
