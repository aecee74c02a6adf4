package plan

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
)

// starts is the part of a plan that starts containers, and holds them back.
type starts struct{ *planner }

// all starts containers, in order, each as soon as nothing holds it back. An init container that cannot start holds
// back all that follow; a sidecar does not.
func (p starts) all(list []*v1.Container) {
	if len(list) == 0 || !p.volumes() {
		return
	}
	after := ""
	for _, c := range list {
		started := p.one(c, after)
		if started {
			after = c.Name
		} else if initNamed(p.pod, c.Name) != nil && !isSidecar(c) {
			return
		}
	}
}

// one starts one container unless it is being started, or is held back; it tells whether an attempt is on its way.
func (p starts) one(c *v1.Container, after string) bool {
	if p.doing(StartKey(c.Name)) {
		return true
	}
	last := p.seen.Newest(c.Name)
	if last != nil && (last.State == Running || p.killing(last)) {
		return false // its definition changed, and it has yet to end
	}
	if last != nil && last.State == Created {
		// The daemon died between create and start. It never ran, so this does not count as a restart.
		p.add(Action{Kind: RemoveContainer, ID: last.ID, Name: c.Name})
		return true
	}
	if p.inCrashLoop(c) || p.failedLately(c) {
		return false
	}
	a := Action{Kind: Start, Name: c.Name, After: after}
	if last != nil {
		a.Attempt = last.Attempt + 1
	}
	a.Backoff = NextBackoff(p.predecessor(c))
	if b, ok := p.seen.Pulls[c.Image]; ok {
		a.NotBefore = b.Until()
	}
	p.add(a)
	return true
}

// killing tells whether a container must still be killed before a successor may start.
func (p starts) killing(c *Container) bool {
	if p.doing(Action{Kind: Kill, ID: c.ID}.Key()) {
		return true
	}
	_, killed := p.seen.Killed[c.ID]
	return c.State == Unknown && !killed
}

// predecessor is the container by whose end the next one is held back, if any: not one of another image, which says nothing about
// this one.
func (p starts) predecessor(c *v1.Container) *Container {
	last := p.seen.newestExited(c.Name)
	if last != nil && last.Image != c.Image {
		return nil
	}
	return last
}

// inCrashLoop holds back a container that ended not long ago, the longer the more often it did.
func (p starts) inCrashLoop(c *v1.Container) bool {
	last := p.predecessor(c)
	until := heldUntil(last)
	if !until.After(p.now) {
		return false
	}
	p.wakeAt(until)
	p.wait(Action{
		Kind: Wait, Name: c.Name, ID: last.ID, Reason: CrashLoopBackOff,
		Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s", last.Backoff, c.Name, Describe(p.pod)),
	})
	return true
}

// failedLately holds back a container whose last attempt to start failed. An image that could not be pulled is first shown
// as the error, then as the back-off.
func (p starts) failedLately(c *v1.Container) bool {
	retry, ok := p.seen.Retry[StartKey(c.Name)]
	if !ok || !retry.After(p.now) {
		return false
	}
	p.wakeAt(retry)
	w := p.seen.Waiting[c.Name]
	if w.Reason != ErrImagePull {
		return true
	}
	if shown := w.At.Add(pullErrorShown); shown.After(p.now) {
		p.wakeAt(shown)
		return true
	}
	p.wait(Action{Kind: Wait, Name: c.Name, Reason: ImagePullBackOff, Message: pullBackoffMessage(c.Image, w)})
	return true
}

// wait notes a container's reason for not running, unless it is noted already.
func (p starts) wait(a Action) {
	if w, ok := p.seen.Waiting[a.Name]; ok && w.Reason == a.Reason && w.Message == a.Message {
		return
	}
	p.add(a)
}

// pullBackoffMessage is what a container says that waits for the next pull of its image; w is the failure of the last.
func pullBackoffMessage(image string, w Waiting) string {
	return fmt.Sprintf("Back-off pulling image %q: %s: %s", image, w.Reason, w.Message)
}
