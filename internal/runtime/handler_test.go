package runtime

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/exits"
	"github.com/hull-pods/hull/internal/runtime/making"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/starter"
)

// without is a runtime that has no runtime handler, and a container on record of a sandbox whose handler is gone.
func without(t *testing.T, state ContainerState) (*Runtime, *container) {
	t.Helper()
	hulltest.NeedRoot(t)
	dir, log, parent := t.TempDir(), slog.New(slog.DiscardHandler), "hull-"+hulltest.Instance(t)
	tree, err := cgroup.Open(cgroup.Config{Parent: parent, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	images, err := image.Open(t.Context(), image.Config{Root: filepath.Join(dir, "images"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = images.Close() })
	x := exits.New(nil, log)
	r := &Runtime{
		cfg: Config{Instance: hulltest.Instance(t), Cgroups: tree, Images: images, Starters: map[string]starter.Starter{}, Log: log},
		log: log, dirs: record.Dirs{Root: dir, State: dir}, all: newRegistry(x), exits: x,
	}
	s := r.newSandbox(record.NewID(), record.Sandbox{Phase: record.Ready}, making.Done())
	s.rec.Status.Config = SandboxConfig{Namespace: "ns", Name: "pod", CgroupParent: "podgone", Handler: "gone"}
	r.all.addSandbox(s)
	c := r.newContainer(record.NewID(), s, record.Container{Phase: record.Ready, Status: ContainerStatus{State: state}})
	if err := s.add(c); err != nil {
		t.Fatal(err)
	}
	r.all.addContainer(c)
	x.Unwatch(c.key()) // the keeper has nothing of it
	for _, d := range []string{r.dirs.Container(c.id), r.dirs.Upper(c.id)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return r, c
}

func TestHandlerIsGone(t *testing.T) {
	r, c := without(t, ContainerCreated)
	if err := r.StartContainer(t.Context(), c.id, Turn{}); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("start: %v", err)
	}
	if st := c.status(); st.State != ContainerExited || st.Reason != ReasonStartError {
		t.Errorf("after the start: %+v", st)
	}
	if _, err := r.Birth(t.Context(), c.id); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("birth: %v", err)
	}
	e := &execution{c: c, r: r, gone: make(chan struct{})}
	if _, err := e.start(t.Context(), &oci.Spec{}, &oci.Process{}, nil); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("exec: %v", err)
	}
	if err := r.StopContainer(t.Context(), c.id, 0); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := r.RemoveContainer(t.Context(), c.id); err != nil {
		t.Errorf("remove: %v", err)
	}
	if _, err := r.Container(c.id); !errors.Is(err, errdefs.ErrNotFound) {
		t.Errorf("after its removal: %v", err)
	}
	if _, err := os.Stat(r.dirs.Container(c.id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its directory is left: %v", err)
	}
}

// TestRemovalSparesWhatIsMounted: an OCI program's bundle has volumes in it while the container is made; if hulld dies then, they
// stay, and to remove the container's directory must not be to remove what is in them.
func TestRemovalSparesWhatIsMounted(t *testing.T) {
	r, c := without(t, ContainerExited)
	volume := t.TempDir()
	file, at := filepath.Join(volume, "precious"), filepath.Join(r.dirs.Container(c.id), "sources", "0")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.MkdirAll(at, 0o700), unix.Mount(volume, at, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = linux.Detach(at) })
	if err := r.RemoveContainer(t.Context(), c.id); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.dirs.Container(c.id)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its directory is left: %v", err)
	}
}

func TestNamespacesOfAnInfraProcessThatHasEnded(t *testing.T) {
	s := &sandbox{rec: record.Sandbox{Status: SandboxStatus{}}}
	joins := &oci.Spec{Linux: &oci.Linux{Namespaces: []oci.LinuxNamespace{{Type: oci.UTSNamespace, Path: s.namespace("uts")}}}}
	own := &oci.Spec{Linux: &oci.Linux{Namespaces: []oci.LinuxNamespace{{Type: oci.MountNamespace}}}}
	if err := s.lent(joins); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("before there is one: %v", err)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fd, err := linux.PidfdOpen(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	s.hold(fd, cmd.Process.Pid)
	if err := s.lent(joins); err != nil {
		t.Errorf("while it lives: %v", err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // its PID is free from now on
	if err := s.lent(joins); !errors.Is(err, errdefs.ErrFailedPrecondition) {
		t.Errorf("when it has ended: %v", err)
	}
	if err := s.lent(own); err != nil {
		t.Errorf("who joins nothing: %v", err)
	}
}
