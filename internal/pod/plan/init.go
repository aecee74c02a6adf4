package plan

import (
	"fmt"
	"slices"

	v1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

func isSidecar(c *v1.Container) bool { return podutil.IsRestartableInitContainer(c) }

// initNamed is the init container of a name; nil when there is none.
func initNamed(pod *v1.Pod, name string) *v1.Container {
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; c.Name == name {
			return c
		}
	}
	return nil
}

func isSidecarName(pod *v1.Pod, name string) bool {
	c := initNamed(pod, name)
	return c != nil && isSidecar(c)
}

// initState is how far a Pod's init containers are.
type initState struct {
	start  []*v1.Container // to start now, in the order of the spec
	done   bool            // regular containers may start
	failed bool            // one failed for good: the Pod ends
}

// initContainers looks at the init containers from the last to the first: the last one that was created tells how far the
// Pod is, since records of those before it may be gone. Before that point only sidecars matter, which are kept running.
func (p *planner) initContainers() (st initState) {
	list := p.pod.Spec.InitContainers
	if len(list) == 0 {
		st.done = true
		return st
	}
	st.done = p.seen.ActiveRegular(p.pod)
	passed := st.done // an init container behind this one was created, so this one is through
	for i := len(list) - 1; i >= 0; i-- {
		c := &list[i]
		last := p.seen.newestActive(c.Name)
		if last == nil {
			if passed && isSidecar(c) {
				st.start = append(st.start, c)
			}
			continue
		}
		if passed && !isSidecar(c) {
			continue
		}
		p.initContainer(&st, i, last, passed)
		if st.failed {
			st.start = nil
			return st
		}
		passed = true
	}
	if !passed {
		st.start = append(st.start, &list[0])
	}
	slices.Reverse(st.start)
	return st
}

// initContainer judges the i-th init container, which was created in this sandbox.
func (p *planner) initContainer(st *initState, i int, last *Container, passed bool) {
	c := &p.pod.Spec.InitContainers[i]
	through := func() {
		if i == len(p.pod.Spec.InitContainers)-1 {
			st.done = true
		} else if !passed {
			st.start = append(st.start, &p.pod.Spec.InitContainers[i+1])
		}
	}
	again := func() { st.start = append(st.start, c) }
	switch {
	case last.State == Created:
		again() // it was created, and could not be started
	case last.State == Running:
		if !isSidecar(c) {
			return
		}
		through()
		if last.Image != c.Image {
			p.kill(last, p.grace(), fmt.Sprintf("Init container %s definition changed", c.Name), false)
			again()
		}
	case last.State == Unknown:
		if !isSidecar(c) && !p.restartsInit(c) {
			st.failed = true
			return
		}
		p.killUnknown(last, "Init container")
		again()
	case isSidecar(c):
		again()
	case last.ExitCode != 0 || last.Reason == "OOMKilled":
		if !ShouldRestart(c, p.pod, last) {
			st.failed = true
			return
		}
		again()
	default:
		through()
	}
}

// restartsInit tells whether an init container without an exit code is run again.
func (p *planner) restartsInit(c *v1.Container) bool {
	if c.RestartPolicy != nil {
		return *c.RestartPolicy != v1.ContainerRestartPolicyNever
	}
	return p.pod.Spec.RestartPolicy != v1.RestartPolicyNever
}
