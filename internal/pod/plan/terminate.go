package plan

import (
	"math"
	"time"

	v1 "k8s.io/api/core/v1"
)

// terminate ends the Pod: containers, sandbox, volumes; and when it is deleted, every record and the object itself.
func (p *planner) terminate() {
	if !p.killAll() {
		return
	}
	if p.seen.Volumes != VolumesRemoved {
		p.add(Action{Kind: RemoveVolumes})
	}
	if !p.seen.Orphan && p.pod.DeletionTimestamp == nil {
		return
	}
	for _, c := range p.seen.Containers {
		p.add(Action{Kind: RemoveContainer, ID: c.ID, Name: c.Name})
	}
	if len(p.seen.Containers) > 0 {
		return
	}
	for _, s := range p.seen.Sandboxes {
		p.add(Action{Kind: RemoveSandbox, ID: s.ID})
	}
	if len(p.seen.Sandboxes) == 0 && p.seen.Volumes == VolumesRemoved {
		p.add(Action{Kind: Finish})
	}
}

// killAll ends every container, then every sandbox, and tells whether nothing of the Pod runs or is about to.
func (p *planner) killAll() bool {
	running := 0
	for i := range p.seen.Containers {
		if p.seen.Containers[i].State == Running {
			running++
		}
	}
	if running > 0 {
		p.killContainers()
		return false
	}
	if p.doingAny(Start, Kill) {
		return false
	}
	clean := !p.doingAny(RunSandbox, MakeVolumes)
	for _, s := range p.seen.Sandboxes {
		if s.Ready || !s.Stopped {
			clean = false
			p.add(Action{Kind: StopSandbox, ID: s.ID})
		}
	}
	return clean
}

// killContainers sends every running container its end. Sidecars wait until the containers that they serve are gone, and
// end in reverse order; whoever waits does so within the grace period, which is one for all.
func (p *planner) killContainers() {
	grace := p.grace()
	since := p.seen.Ending
	if since.IsZero() {
		since = p.now
	}
	for i := range p.seen.Containers {
		c := &p.seen.Containers[i]
		if c.State != Running {
			continue
		}
		left := grace
		if isSidecarName(p.pod, c.Name) {
			left -= p.now.Sub(since).Truncate(time.Second)
		}
		if left > 0 && !p.turn(c.Name) {
			p.wakeAt(since.Add(grace))
			continue
		}
		p.kill(c, left, "", true)
	}
}

// turn tells whether a container may end now: a sidecar only after all regular containers and the sidecars behind it.
func (p *planner) turn(name string) bool {
	if !isSidecarName(p.pod, name) {
		return true
	}
	for i := range p.pod.Spec.Containers {
		if p.seen.runs(p.pod.Spec.Containers[i].Name) {
			return false
		}
	}
	list := p.pod.Spec.InitContainers
	for i := len(list) - 1; i >= 0 && list[i].Name != name; i-- {
		if isSidecar(&list[i]) && p.seen.runs(list[i].Name) {
			return false
		}
	}
	return true
}

// kill ends one container unless that is under way already; a deadline that has come nearer is passed on.
func (p *planner) kill(c *Container, grace time.Duration, message string, end bool) {
	grace = max(grace, minGrace)
	a := Action{Kind: Kill, ID: c.ID, Name: c.Name, Grace: grace, Message: message, End: end}
	if deadline, ok := p.seen.Doing[a.Key()]; ok {
		if began, ok := p.seen.Killed[c.ID]; ok && began.Add(grace).Before(deadline) {
			a.Grace = max(began.Add(grace).Sub(p.now), 0)
			p.actions = append(p.actions, a)
		}
		return
	}
	p.add(a)
}

// grace is the time between SIGTERM and SIGKILL.
func (p *planner) grace() time.Duration {
	if most := p.seen.Draining; most != 0 {
		return max(min(p.wanted(), most), minGrace)
	}
	return p.wanted()
}

// wanted is the grace period that the Pod asks for, or that its deletion does.
func (p *planner) wanted() time.Duration {
	if p.seen.Evicted != "" {
		return minGrace
	}
	if g := p.pod.DeletionGracePeriodSeconds; g != nil && p.over() {
		return max(seconds(*g), minGrace)
	}
	if g := p.pod.Spec.TerminationGracePeriodSeconds; g != nil {
		return max(seconds(*g), minGrace)
	}
	return v1.DefaultTerminationGracePeriodSeconds * time.Second
}

// seconds is a grace period, which may be as long as "for ever": 68 years are, and a duration has room for them.
func seconds(n int64) time.Duration { return time.Duration(min(n, math.MaxInt32)) * time.Second }
