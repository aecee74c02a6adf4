package compile

import (
	"slices"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// When hooks run.
func beforePivot(h *oci.Hooks) bool { return len(RuntimeHooks(h))+len(h.CreateContainer) > 0 }
func beforeExec(h *oci.Hooks) bool  { return len(h.StartContainer) > 0 }

func hasHooks(spec *oci.Spec, when func(*oci.Hooks) bool) bool {
	return spec.Hooks != nil && when(spec.Hooks)
}

// WantsHost tells whether a container has hooks that run in its namespaces before pivot_root, and see the host's files there.
func WantsHost(spec *oci.Spec) bool { return spec.Hooks != nil && len(spec.Hooks.CreateContainer) > 0 }

// RuntimeHooks are those that run beside the starter before pivot_root. The runtime spec calls prestart deprecated, but it is
// what most hooks in use are.
func RuntimeHooks(h *oci.Hooks) []oci.Hook {
	//lint:ignore SA1019 see above
	return slices.Concat(h.Prestart, h.CreateRuntime)
}

// Hook is the program of a hook in the namespaces of a container that is being born: before pivot_root it sees the host's
// files there, afterwards the container's.
func Hook(spec *oci.Spec, hook oci.Hook, facts Facts) (*Birth, error) {
	ns, err := NamespacesOf(spec)
	if err != nil {
		return nil, err
	}
	c := &compiler{p: birth.New("hook"), spec: spec, facts: facts, userns: ns.User()}
	c.hide()
	c.call("join the container's namespaces", linux.SysSetns, c.p.FD(FDContainer), num(ns.Fresh|ns.Joined))
	if c.userns {
		c.becomeRoot()
	}
	p := &oci.Process{Args: hook.Args, Env: hook.Env, Cwd: "/"}
	if len(p.Args) == 0 {
		p.Args = []string{hook.Path}
	}
	own := process{c}
	own.stdio(p)
	c.call("close everything else", linux.SysCloseRange, num(birth.Socket+1), num(^uint32(0)), num(0))
	c.call("enter /", linux.SysChdir, str("/"))
	c.fork("fork into the PID namespace", 0)
	own.session(p)
	c.p.Tell("say that it will run", birth.Value(int32(TellRunning)))
	c.call(StepExec, linux.SysExecve, str(hook.Path), birth.Strings(p.Args...), birth.Environ(p.Env...))
	return &Birth{Program: c.p, Forks: true, Late: true}, nil
}
