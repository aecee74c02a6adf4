package starter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/seccomp"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// Config of the native starter.
type Config struct {
	Log *slog.Logger
	// Own makes processes the caller's own children, for it to reap. Otherwise they are children of the caller's parent,
	// the keeper, and outlive the caller.
	Own bool
}

// Native is the starter that makes processes by itself.
type Native struct {
	cfg  Config
	proc *os.File // procfs of our PID namespace, attached nowhere
	init *os.File
	null *os.File

	filters filters
	infra   []unix.SockFilter
	lastCap int
	cgroups []hierarchy
	oldProc bool

	patience time.Duration
	encoders sync.Pool // of *birth.Encoder

	mu       sync.Mutex
	spawners [hostTree + 1]*spawner
	closed   bool
}

// NewNative makes a native starter. Its processes keep living when it is closed.
func NewNative(cfg Config) (_ *Native, err error) {
	n := &Native{
		cfg: cfg, filters: filters{seccomp.NewCache(runtime.GOARCH)}, infra: compile.RestFilter(linux.Native), patience: patience,
		encoders: sync.Pool{New: func() any { return new(birth.Encoder) }},
	}
	defer func() {
		if err != nil {
			n.Close()
		}
	}()
	if n.proc, err = linux.NewMount("proc", "proc", quiet); err != nil {
		return nil, err
	}
	if err = n.openFiles(); err != nil {
		return nil, err
	}
	if n.lastCap, err = n.readLastCap(); err != nil {
		return nil, err
	}
	if n.cgroups, err = n.hierarchies(); err != nil {
		return nil, err
	}
	modern, err := linux.ProcTakesPIDNamespace()
	if err != nil {
		return nil, err
	}
	n.oldProc = !modern
	if _, err = n.spawner(bare); err != nil {
		return nil, err
	}
	return n, nil
}

// filters compiles seccomp profiles: nearly every container has one of two or three.
type filters struct{ cache *seccomp.Cache }

// get is the filter of a profile; none for a container without one.
func (f filters) get(p *oci.LinuxSeccomp) (program []unix.SockFilter, flags uint32, err error) {
	if p == nil {
		return nil, 0, nil
	}
	if program, flags, err = f.cache.Compile(p); err != nil {
		return nil, 0, invalid("%v", err)
	}
	return program, flags, nil
}

// into gives a program the filter of its profile.
func (f filters) into(facts *compile.Facts, p *oci.LinuxSeccomp) (err error) {
	facts.Filter, facts.FilterFlags, err = f.get(p)
	if err != nil || facts.Filter == nil {
		return err
	}
	facts.FilterFirst = true
	var calls []seccomp.Call
	for _, c := range append(compile.AfterFilter(), compile.LoadFilter()) {
		number, ok := c.Sys.Number(linux.Native)
		if !ok {
			return invalid("no number of %s", c.Sys)
		}
		calls = append(calls, seccomp.Call{Number: number, Args: c.Args})
	}
	for _, c := range calls[:len(calls)-1] {
		facts.FilterFirst = facts.FilterFirst && seccomp.Allows(facts.Filter, runtime.GOARCH, c)
	}
	if facts.FilterFirst {
		return nil
	}
	if p := seccomp.Except(facts.Filter, runtime.GOARCH, calls); len(p) <= unix.BPF_MAXINSNS {
		facts.Passage = p
	}
	return nil
}

// above gives a file a number of at least lowest, in the place of the one that it has.
func above(lowest int, f *os.File) (*os.File, error) {
	defer func() { _ = f.Close() }()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, lowest)
	if err != nil {
		return nil, fmt.Errorf("duplicate descriptor %s: %w", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// openFiles opens hull-init and the null device under numbers that a clone leaves alone before its execve of self/fd/N. It puts its
// first descriptors in place, and those that are in the way, and the pipe for its error, right above the highest of what
// it is given, which is the null device: hull-init under one of these numbers would be gone by then.
func (n *Native) openFiles() error {
	init, err := birth.Memfd()
	if err != nil {
		return err
	}
	if n.init, err = above(cloneFiles, init); err != nil {
		return err
	}
	null, err := openNull()
	if err != nil {
		return err
	}
	n.null, err = above(int(n.init.Fd())+1, null)
	return err
}

// Close ends the starter's threads. What is started from then on fails.
func (n *Native) Close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for i, s := range n.spawners {
		if s != nil {
			s.close()
			n.spawners[i] = nil
		}
	}
	for _, f := range []*os.File{n.proc, n.init, n.null} {
		if f != nil {
			_ = f.Close()
		}
	}
}

// spawner is the thread for a kind of start, made when it is first wanted.
func (n *Native) spawner(t template) (*spawner, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, fmt.Errorf("the starter is closed: %w", errdefs.ErrUnavailable)
	}
	if n.spawners[t] == nil {
		s, err := newSpawner(t, n.init, n.null)
		if err != nil {
			return nil, err
		}
		n.spawners[t] = s
	}
	return n.spawners[t], nil
}

// Start makes a container's first process.
func (n *Native) Start(ctx context.Context, r Request) (_ *Process, err error) {
	made, err := take(n, r)
	if err != nil {
		return nil, err
	}
	d, facts := made.d, made.facts
	defer d.end(&err)
	if err := d.namespaces(r.Spec); err != nil {
		return nil, err
	}
	d.born, d.kept, d.gone, d.hooks = r.Born, r.Console, r.Gone, newHookRun(n, r)
	if r.Ready != nil {
		d.ready = func(ctx context.Context) error { return r.Ready(ctx, facts) }
	}
	if err := recordPoststop(r); err != nil {
		return nil, err
	}
	p, err := d.run(ctx, made.birth, r.Spec.Process)
	if err != nil {
		if r.Spec.Hooks != nil {
			err = errors.Join(err, forgetPoststop(r.Bundle))
		}
		return nil, err
	}
	n.started(ctx, r, p)
	p.Facts = facts
	return p, nil
}

// Exec makes a further process in a container.
func (n *Native) Exec(ctx context.Context, r ExecRequest) (_ *Process, err error) {
	d := n.delivery("")
	defer d.end(&err)
	d.clone(bare, order{name: "hull-init"})
	facts, err := n.prepareExec(d, r)
	if err != nil {
		return nil, err
	}
	b, err := compile.Exec(r.Spec, r.Process, facts, len(d.joined))
	if err != nil {
		return nil, err
	}
	d.born = r.Born
	return d.run(ctx, b, r.Process)
}

// Infra makes the process that holds a sandbox's namespaces.
func (n *Native) Infra(ctx context.Context, r InfraRequest) (_ *Process, err error) {
	d := n.delivery("start infra process " + r.Name)
	defer d.end(&err)
	if len(r.Name) > maxName {
		return nil, invalid("the infra process' name %q is longer than %d bytes", r.Name, maxName)
	}
	t := bare
	if len(r.UIDMappings) > 0 && len(r.Sysctls) > 0 {
		t = visible
	}
	if r.JoinNet {
		d.add(compile.FDNamespace(oci.NetworkNamespace), r.Netns)
	}
	d.clone(t, order{name: r.Name, flags: infraFlags(r), uidMappings: r.UIDMappings, gidMappings: r.GIDMappings})
	if err := d.join(r.Cgroups); err != nil {
		return nil, err
	}
	b, err := n.compileInfra(r, len(d.joined))
	if err != nil {
		return nil, err
	}
	d.born, d.sent = r.Born, r.Sent
	return d.run(ctx, b, &oci.Process{OOMScoreAdj: &r.OOMScoreAdj})
}

func (n *Native) compileInfra(r InfraRequest, cgroups int) (*compile.Birth, error) {
	return compile.Infra(compile.Sandbox{
		Flags: infraFlags(r), JoinNet: r.JoinNet, Hostname: r.Hostname, Sysctls: r.Sysctls, UIDMappings: r.UIDMappings, GIDMappings: r.GIDMappings,
	}, Facts{LastCap: n.lastCap, Filter: n.infra}, cgroups)
}

func infraFlags(r InfraRequest) uintptr {
	flags := uintptr(unix.CLONE_NEWNS)
	for _, n := range []struct {
		wanted bool
		flag   uintptr
	}{
		{r.NewIPC, unix.CLONE_NEWIPC}, {r.NewUTS, unix.CLONE_NEWUTS}, {r.NewPID, unix.CLONE_NEWPID},
		{len(r.UIDMappings) > 0, unix.CLONE_NEWUSER | unix.CLONE_NEWNET},
	} {
		if n.wanted {
			flags |= n.flag
		}
	}
	return flags
}

const maxName = 100

// openNull opens the host's null device, and makes sure that it is one.
func openNull() (*os.File, error) {
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open the null device: %w", err)
	}
	if err := checkNull(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func checkNull(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("look at the null device: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != unix.Mkdev(1, 3) {
		return fmt.Errorf("%s is not the null device", f.Name())
	}
	return nil
}
