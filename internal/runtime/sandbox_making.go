package runtime

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/runtime/making"
	"github.com/hull-pods/hull/internal/runtime/namefiles"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/shm"
	"github.com/hull-pods/hull/internal/runtime/spec"
	"github.com/hull-pods/hull/internal/runtime/stopwatch"
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

// RunSandbox makes a sandbox and answers when it is ready: the infra process rests in its namespaces, the network is set
// up, and the name files are written. On an error nothing of it is left.
//
// The record says "making" from before the first step until after the last one, so that a start of hulld after a crash
// takes back whatever there is.
//
// meanwhile is told the sandbox's ID as soon as containers may be created in it, and returns at once. They wait for the sandbox at
// their last step, and fail if it does.
func (r *Runtime) RunSandbox(ctx context.Context, cfg SandboxConfig, meanwhile func(id string)) (SandboxStatus, error) {
	if r.cfg.Starters[cfg.Handler] == nil {
		return SandboxStatus{}, fmt.Errorf("runtime handler %q: %w", cfg.Handler, errdefs.ErrNotFound)
	}
	s := r.newSandbox(record.NewID(), record.Sandbox{Version: record.Version, Phase: record.Making}, making.Begun())
	s.rec.Status = SandboxStatus{ID: s.id, Config: cfg, State: SandboxNotReady, CreatedAt: time.Now()}
	s.op.Lock()
	defer s.op.Unlock()
	r.all.addSandbox(s)
	if err := (&sandboxMaking{s: s, r: r, meanwhile: meanwhile}).run(ctx); err != nil {
		return SandboxStatus{}, fmt.Errorf("run the sandbox of Pod %s/%s: %w", cfg.Namespace, cfg.Name, err)
	}
	return s.status(), nil
}

// sandboxMaking is one attempt to make a sandbox.
type sandboxMaking struct {
	s    *sandbox
	r    *Runtime
	back undo.Stack

	meanwhile func(id string) // has containers begun

	netns    *os.File     // ours until the infra process is in it
	attached func() error // waits until the network is set up
}

func (m *sandboxMaking) run(ctx context.Context) (err error) {
	defer m.closeNetns()
	defer m.back.Run(ctx, &err)
	defer func() { m.s.making.End(err != nil) }()
	err = stopwatch.Run(ctx, m.r.log, "sandbox", m.s.id, stopwatch.Steps{
		{"record", m.record}, {"cgroup", m.cgroup}, {"network", m.network}, {"shm", m.shm}, {"infra process", m.infra},
		{"end of the network's", m.awaitNetwork}, {"name files", m.nameFiles}, {"ready", m.ready},
	})
	if err != nil {
		return err
	}
	m.back.Release()
	return nil
}

// closeNetns leaves the network namespace to the infra process, and has the next sandbox's made.
func (m *sandboxMaking) closeNetns() {
	if m.netns != nil {
		_ = m.netns.Close()
		m.netns = nil
		m.r.namespaces.Refill()
	}
}

func (m *sandboxMaking) record(context.Context) error {
	s, dir := m.s, m.r.dirs.Sandbox(m.s.id)
	if err := m.back.Push(fpSandboxRecord, "remove "+dir, func(context.Context) error { return s.unrecord() }); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o711); err != nil {
		return err
	}
	return s.update(func(*record.Sandbox) {})
}

// cgroup comes to be beside the clone of the infra process, which joins it: see joinInfra.
func (m *sandboxMaking) cgroup(context.Context) error {
	return m.back.Push(fpSandboxCgroup, "remove the Pod's cgroup", func(ctx context.Context) error { return m.s.removeCgroup(ctx) })
}

func (m *sandboxMaking) shm(context.Context) error {
	if m.s.config().HostIPC {
		return nil
	}
	dir := m.r.dirs.Shm(m.s.id)
	if err := m.back.Push(fpSandboxShm, "unmount "+dir, func(context.Context) error { return shm.Unmount(dir) }); err != nil {
		return err
	}
	return shm.Mount(dir)
}

// infra starts the infra process, which the keeper knows before it is anything.
func (m *sandboxMaking) infra(ctx context.Context) error {
	s, key := m.s, m.s.key()
	forget := func(ctx context.Context) error { return m.r.cfg.Keeper.Forget(ctx, key) }
	if err := m.back.Push(fpSandboxKeep, "forget the keeper's record", forget); err != nil {
		return err
	}
	kept, err := m.r.cfg.Keeper.Register(key)
	if err != nil {
		return err
	}
	if err := m.back.Push(fpSandboxInfra, "kill the infra container", m.killInfra); err != nil {
		return err
	}
	request := s.infraRequest()
	request.Born = func(pid int) error { return kept.Born(ctx, pid) }
	request.Netns = m.netns
	request.Sent = func() { m.meanwhile(s.id) }
	var aside error // of what is done meanwhile: it says what it is about by itself
	request.Cgroups = func() (files []*os.File, err error) {
		files, aside = m.joinInfra()
		return files, aside
	}
	p, err := m.r.native().Infra(ctx, request)
	if aside != nil {
		return aside
	}
	if err != nil {
		return fmt.Errorf("start the infra container: %w", s.group().Starved(err))
	}
	s.hold(p.PIDFD, p.PID)
	return nil
}

// joinInfra makes the Pod's cgroup, which on v2 passes its controllers on, and opens its files. When the infra process has its
// program, and the network is under way, containers may be begun.
func (m *sandboxMaking) joinInfra() ([]*os.File, error) {
	cfg := m.s.config()
	group, err := m.r.cfg.Cgroups.Create(cfg.CgroupParent, spec.CgroupResources(cfg.Resources))
	if err != nil {
		return nil, err
	}
	if err := namefiles.Begin(m.r.dirs.Sandbox(m.s.id)); err != nil {
		return nil, err
	}
	return group.JoinInfra()
}

// killInfra ends the infra process if it ever started.
func (m *sandboxMaking) killInfra(ctx context.Context) error {
	if m.s.status().PID == 0 {
		return nil
	}
	return m.s.kill(ctx)
}

// network begins to set up the network, beside the infra process that joins its namespace.
func (m *sandboxMaking) network(ctx context.Context) (err error) {
	s, cfg := m.s, m.s.config()
	detach := func(ctx context.Context) error {
		if m.attached != nil {
			_ = m.attached() // whatever came of it
		}
		m.closeNetns() // the interface ends with it
		return m.r.cfg.Network.Detach(ctx, s.id)
	}
	if err := m.back.Push(fpSandboxNetwork, "detach the network", detach); err != nil {
		return err
	}
	request := network.Request{ID: s.id, Name: cfg.Namespace + "/" + cfg.Name, Ports: cfg.Ports}
	m.attached = sync.OnceValue(func() error { return m.r.cfg.Network.ClaimPorts(ctx, request) })
	if !cfg.HostNetwork {
		if m.netns, err = m.r.namespaces.Take(); err != nil {
			m.attached = nil
			return err
		}
		request.Netns = m.netns
		m.attached = sync.OnceValue(func() error { return m.attach(ctx, request) })
	}
	go m.attached()
	return nil
}

func (m *sandboxMaking) attach(ctx context.Context, request network.Request) error {
	res, err := m.r.cfg.Network.Attach(ctx, request)
	if err != nil {
		return err
	}
	s := m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rec.Status.IPs, s.rec.Status.Interface, s.rec.Status.HostVeth = res.IPs, res.Interface, res.HostInterface
	return nil
}

func (m *sandboxMaking) awaitNetwork(context.Context) error { return m.attached() }

// nameFiles live in the sandbox's directory, whose undo removes them.
func (m *sandboxMaking) nameFiles(context.Context) error {
	if err := m.back.Push(fpSandboxFiles, "remove the name files", func(context.Context) error { return nil }); err != nil {
		return err
	}
	st := m.s.status()
	warnings, err := namefiles.Write(m.r.dirs.Sandbox(m.s.id), &st)
	if err != nil {
		return err
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.s.rec.Status.Warnings = warnings
	return nil
}

func (m *sandboxMaking) ready(context.Context) error {
	if err := m.back.Push(fpSandboxReady, "unmark ready", func(context.Context) error { return nil }); err != nil {
		return err
	}
	ended := false
	err := m.s.update(func(rec *record.Sandbox) {
		if ended = !rec.Status.EndedAt.IsZero(); !ended {
			rec.Phase, rec.Status.State = record.Ready, SandboxReady
		}
	})
	if err == nil && ended {
		err = fmt.Errorf("the infra container ended at once")
	}
	return err
}
