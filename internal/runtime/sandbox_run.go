package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/runtime/streams"
	"github.com/hull-pods/hull/internal/starter"
	"github.com/hull-pods/hull/internal/undo"
)

var (
	fpSandboxRecord  = failpoint.New("runtime.sandbox.record")
	fpSandboxCgroup  = failpoint.New("runtime.sandbox.cgroup")
	fpSandboxShm     = failpoint.New("runtime.sandbox.shm")
	fpSandboxKeep    = failpoint.New("runtime.sandbox.keep")
	fpSandboxInfra   = failpoint.New("runtime.sandbox.infra")
	fpSandboxNetwork = failpoint.New("runtime.sandbox.network")
	fpSandboxFiles   = failpoint.New("runtime.sandbox.files")
	fpSandboxReady   = failpoint.New("runtime.sandbox.ready")
)

// shmSize is what Kubernetes' runtimes give a Pod for /dev/shm.
const shmSize = 64 << 20

// RunSandbox makes a sandbox and answers when it is ready: the infra process rests in its namespaces, the network is set
// up, and the name files are written. On an error nothing of it is left.
//
// The record says "making" from before the first step until after the last one, so that a start of hulld after a crash
// takes back whatever there is.
func (r *Runtime) RunSandbox(ctx context.Context, cfg SandboxConfig) (_ SandboxStatus, err error) {
	if r.cfg.Starters[cfg.Handler] == nil {
		return SandboxStatus{}, fmt.Errorf("runtime handler %q: %w", cfg.Handler, errdefs.ErrNotFound)
	}
	s := r.newSandbox(newID(), sandboxRecord{Version: recordVersion, Phase: phaseMaking})
	s.rec.Status = SandboxStatus{ID: s.id, Config: cfg, State: SandboxNotReady, CreatedAt: time.Now()}
	s.op.Lock()
	defer s.op.Unlock()

	var back undo.Stack
	defer func() {
		if err != nil {
			err = fmt.Errorf("run the sandbox of Pod %s/%s: %w", cfg.Namespace, cfg.Name, err)
		}
	}()
	defer back.Run(ctx, &err)
	w := r.stopwatch("sandbox", s.id)
	for _, step := range []struct {
		name string
		make func(context.Context, *undo.Stack) error
	}{
		{"record", s.makeRecord}, {"cgroup", s.makeCgroup}, {"shm", s.makeShm}, {"infra process", s.makeInfra},
		{"network", s.makeNetwork}, {"name files", s.makeFiles}, {"ready", s.makeReady},
	} {
		if err := step.make(ctx, &back); err != nil {
			return SandboxStatus{}, err
		}
		w.lap(step.name)
	}
	back.Release()
	return s.status(), nil
}

func (s *sandbox) makeRecord(_ context.Context, back *undo.Stack) error {
	dir := s.r.dir.sandbox(s.id)
	if err := back.Push(fpSandboxRecord, "remove "+dir, func(context.Context) error { return s.unrecord() }); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o711); err != nil {
		return err
	}
	return s.update(func(*sandboxRecord) {})
}

// unrecord forgets the sandbox: the last step of its removal.
func (s *sandbox) unrecord() error {
	err := os.RemoveAll(s.r.dir.sandbox(s.id)) // before it is forgotten: a directory without an owner is a leftover
	s.r.mu.Lock()
	delete(s.r.sandboxes, s.id)
	delete(s.r.processes, s.key())
	s.r.mu.Unlock()
	return err
}

func (s *sandbox) makeCgroup(ctx context.Context, back *undo.Stack) error {
	cfg := s.config()
	if err := back.Push(fpSandboxCgroup, "remove the Pod's cgroup", s.removeCgroup); err != nil {
		return err
	}
	_, err := s.r.cfg.Cgroups.Create(cfg.CgroupParent, cgroupResources(cfg.Resources))
	return err
}

// removeCgroup removes the Pod's cgroup unless another sandbox of the same Pod, a later or an earlier attempt, is in it. Of
// several that go at the same time, the last one here removes it.
func (s *sandbox) removeCgroup(ctx context.Context) error {
	parent := s.config().CgroupParent
	if s.leave(parent) {
		return nil
	}
	group := s.r.cfg.Cgroups.Load(parent)
	return errors.Join(group.Remove(ctx), group.Prune())
}

// leave gives up the sandbox's part in a cgroup, and tells whether another has one.
func (s *sandbox) leave(parent string) (shared bool) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	s.leaving = true
	for _, other := range s.r.sandboxes {
		if !other.leaving && other.config().CgroupParent == parent {
			return true
		}
	}
	return false
}

func (s *sandbox) shm() string {
	if s.config().HostIPC {
		return "/dev/shm"
	}
	return filepath.Join(s.r.dir.sandbox(s.id), "shm")
}

// makeShm mounts the Pod's /dev/shm. It is under the state directory, not in a descriptor, because containers that start
// after a restart of hulld need it too.
func (s *sandbox) makeShm(_ context.Context, back *undo.Stack) error {
	if s.config().HostIPC {
		return nil
	}
	dir := s.shm()
	if err := back.Push(fpSandboxShm, "unmount "+dir, func(context.Context) error { return s.removeShm() }); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		return err
	}
	m, err := linux.NewMount("tmpfs", "shm", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC,
		linux.KeyValue("size", strconv.Itoa(shmSize)), linux.KeyValue("mode", "1777"))
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	return linux.AttachPath(m, dir)
}

func (s *sandbox) removeShm() error {
	if s.config().HostIPC {
		return nil
	}
	err := unix.Unmount(s.shm(), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", s.shm(), err)
	}
	return nil
}

// infraName is the infra process' argv[0]: /proc/*/cmdline shows which Hull and which sandbox it belongs to.
func (r *Runtime) infraName(id string) string { return "hull-infra " + r.cfg.Instance + " " + id }

func (s *sandbox) makeInfra(ctx context.Context, back *undo.Stack) error {
	cfg := s.config()
	forget := func(ctx context.Context) error { return s.r.cfg.Keeper.Forget(ctx, s.key()) }
	if err := back.Push(fpSandboxKeep, "forget the keeper's record", forget); err != nil {
		return err
	}
	if err := s.r.cfg.Keeper.Register(ctx, s.key(), nil); err != nil {
		return err
	}
	join, err := s.r.cfg.Cgroups.Load(cfg.CgroupParent).JoinInfra()
	if err != nil {
		return err
	}
	defer streams.CloseAll(join)
	if err := back.Push(fpSandboxInfra, "kill the infra container", s.killStarted); err != nil {
		return err
	}
	p, err := s.r.native().Infra(ctx, s.infraRequest(join))
	if err != nil {
		return fmt.Errorf("start the infra container: %w", err)
	}
	s.mu.Lock()
	s.pidfd = p.PIDFD
	s.rec.Status.PID = p.PID
	s.mu.Unlock()
	return nil
}

func (s *sandbox) infraRequest(join []*os.File) starter.InfraRequest {
	cfg := s.config()
	return starter.InfraRequest{
		Key: s.key(), Name: s.r.infraName(s.id), Hostname: cfg.kernelName(), Sysctls: cfg.Sysctls,
		NewNet: !cfg.HostNetwork, NewIPC: !cfg.HostIPC, NewUTS: !cfg.HostNetwork, NewPID: cfg.SharePID && !cfg.HostPID,
		Cgroups: join, OOMScoreAdj: infraOOMScore,
		Born: func(pid int) error { return s.r.cfg.Keeper.Born(s.key(), pid) },
	}
}

// infraOOMScore is the kubelet's score of the pause container: among the last to be killed.
const infraOOMScore = -998

// killStarted ends the infra process if it ever started.
func (s *sandbox) killStarted(ctx context.Context) error {
	if s.status().PID == 0 {
		return nil
	}
	return s.kill(ctx)
}

func (s *sandbox) makeNetwork(ctx context.Context, back *undo.Stack) error {
	cfg := s.config()
	detach := func(ctx context.Context) error { return s.r.cfg.Network.Detach(ctx, s.id) }
	if err := back.Push(fpSandboxNetwork, "detach the network", detach); err != nil {
		return err
	}
	if cfg.HostNetwork {
		return s.r.cfg.Network.ClaimPorts(ctx, network.Request{ID: s.id, Name: cfg.Namespace + "/" + cfg.Name, Ports: cfg.Ports})
	}
	ns, err := os.Open(s.namespace("net"))
	if err != nil {
		return fmt.Errorf("open the network namespace: %w", err)
	}
	defer func() { _ = ns.Close() }()
	res, err := s.r.cfg.Network.Attach(ctx, network.Request{ID: s.id, Name: cfg.Namespace + "/" + cfg.Name, Netns: ns, Ports: cfg.Ports})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rec.Status.IPs, s.rec.Status.Interface, s.rec.Status.HostVeth = res.IPs, res.Interface, res.HostInterface
	return nil
}

func (s *sandbox) makeReady(_ context.Context, back *undo.Stack) error {
	if err := back.Push(fpSandboxReady, "unmark ready", func(context.Context) error { return nil }); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return fmt.Errorf("the infra container ended at once")
	default:
	}
	return s.update(func(rec *sandboxRecord) { rec.Phase, rec.Status.State = phaseReady, SandboxReady })
}
