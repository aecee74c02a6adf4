package plan

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
)

// run brings a Pod that shall live nearer to what its spec wants.
func (p *planner) run() {
	if needed, attempt, old, _ := SandboxNeeded(p.pod, p.seen); needed {
		p.newSandbox(attempt, old)
		return
	}
	p.prune()
	p.measure()
	init := p.initContainers()
	if init.failed {
		p.killAll()
		return
	}
	if init.done {
		keep, start := p.regularContainers()
		if keep == 0 && len(start) == 0 {
			// Nothing is left to run: sidecars end too, and are not started again.
			p.killAll()
			return
		}
		init.start = append(init.start, start...)
	}
	starts{p}.all(init.start)
}

// newSandbox handles a Pod without a usable sandbox: the first time, or because the infra process died. Then everything is
// killed, and begins again from the first init container, unless nothing is to be run again.
func (p *planner) newSandbox(attempt uint32, old string) {
	create := p.wantsSandbox(attempt)
	if create && old != "" {
		p.add(Action{Kind: Note, ID: old, Reason: "SandboxChanged", Message: "Pod sandbox changed, it will be killed and re-created."})
	}
	if !p.killAll() || !create || !p.purgeInit() || !p.volumes() {
		return
	}
	p.add(Action{Kind: RunSandbox, Attempt: attempt})
}

// wantsSandbox tells whether a new sandbox would have anything to run.
func (p *planner) wantsSandbox(attempt uint32) bool {
	if p.pod.Spec.RestartPolicy == v1.RestartPolicyNever && attempt != 0 && len(p.seen.Containers) != 0 {
		return false
	}
	for i := range p.pod.Spec.Containers {
		c := &p.pod.Spec.Containers[i]
		once := p.pod.Spec.RestartPolicy == v1.RestartPolicyOnFailure
		if c.RestartPolicy != nil {
			once = *c.RestartPolicy == v1.ContainerRestartPolicyOnFailure
		}
		last := p.seen.Newest(c.Name)
		if !once || last == nil || last.State != Exited || last.ExitCode != 0 {
			return true
		}
	}
	return !p.seen.AnyRegular(p.pod)
}

// purgeInit removes every record of init containers, so that the new sandbox begins with the first; it tells whether none
// is left.
func (p *planner) purgeInit() bool {
	left := false
	for _, c := range p.seen.Containers {
		if initNamed(p.pod, c.Name) != nil {
			left = true
			p.add(Action{Kind: RemoveContainer, ID: c.ID, Name: c.Name})
		}
	}
	return !left
}

// volumes tells whether the Pod's volumes are made, and has them made if not.
func (p *planner) volumes() bool {
	if p.seen.Volumes == VolumesMade {
		return true
	}
	p.add(Action{Kind: MakeVolumes})
	return false
}

// measure has the Pod's volumes measured, if they have limits that the kernel does not enforce.
func (p *planner) measure() {
	if !p.seen.Limited {
		return
	}
	last := p.seen.Measured
	if created := p.seen.Active().CreatedAt; created.After(last) {
		last = created
	}
	if due := last.Add(measureEvery); due.After(p.now) {
		p.wakeAt(due)
		return
	}
	p.add(Action{Kind: Measure})
}

// prune removes records that nobody needs: of each name all dead containers but the last, and old sandboxes without
// containers.
func (p *planner) prune() {
	seen, dead, users := map[string]bool{}, map[string]bool{}, map[string]int{}
	for _, c := range p.seen.Containers {
		users[c.SandboxID]++
		superseded := c.State == Created && seen[c.Name]
		if c.State == Exited || c.State == Unknown {
			superseded = dead[c.Name]
			dead[c.Name] = true
		}
		seen[c.Name] = true
		if superseded {
			p.add(Action{Kind: RemoveContainer, ID: c.ID, Name: c.Name})
		}
	}
	for i, s := range p.seen.Sandboxes {
		if i > 0 && !s.Ready && s.Stopped && users[s.ID] == 0 {
			p.add(Action{Kind: RemoveSandbox, ID: s.ID})
		}
	}
}

// regularContainers looks at the containers of an initialized Pod: how many run and are to be kept, and which to start.
func (p *planner) regularContainers() (keep int, start []*v1.Container) {
	for i := range p.pod.Spec.Containers {
		c := &p.pod.Spec.Containers[i]
		last := p.seen.Newest(c.Name)
		switch {
		case last == nil || last.State != Running:
			if ShouldRestart(c, p.pod, last) || p.seen.Replaced(c) {
				p.killUnknown(last, "Container")
				start = append(start, c)
			}
		case last.Image != c.Image:
			p.kill(last, p.grace(), fmt.Sprintf("Container %s definition changed, will be restarted", c.Name), false)
			start = append(start, c)
		default:
			keep++
		}
	}
	return keep, start
}

// killUnknown makes sure that a container whose end nobody saw is really dead before its successor starts.
func (p *planner) killUnknown(c *Container, what string) {
	if c == nil || c.State != Unknown {
		return
	}
	if _, done := p.seen.Killed[c.ID]; done && !p.doing(Action{Kind: Kill, ID: c.ID}.Key()) {
		return
	}
	p.kill(c, p.grace(), fmt.Sprintf("%s is in %q state, try killing it before restart", what, c.State), false)
}

// Describe names a Pod as the kubelet does in its messages.
func Describe(pod *v1.Pod) string {
	return fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID)
}
