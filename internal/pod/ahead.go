package pod

import (
	"context"
	"sync"

	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/runtime"
)

// created is how the making of a container went.
type created struct {
	id          string
	termination string // its termination file
	failed      *startFailure
	generation  int64 // of the Pod
}

// ahead makes the containers that a new Pod begins with while its sandbox is made: little of what one needs is the sandbox's. The
// plan does not see them before they are started.
type ahead struct {
	j    *job // that of the sandbox
	work sync.WaitGroup
	mu   sync.Mutex
	made map[string]*created // by name
}

// begin begins to make them in a sandbox that is being made. What it leaves out, and what goes wrong, is the start's to do and to
// tell.
func (a *ahead) begin(ctx context.Context, sandbox string) {
	for _, c := range first(a.j.pod) {
		if c.ImagePullPolicy == v1.PullAlways {
			continue
		}
		img, err := a.j.p.cfg.Images.Get(ctx, c.Image)
		if err != nil {
			continue
		}
		release, free := a.j.p.slots.spare()
		if !free {
			return // others are nearer to their start
		}
		j := *a.j
		j.sandbox = sandbox
		a.work.Go(func() {
			defer release()
			cfg, failed := j.config(c, img)
			made := &created{failed: failed}
			if failed == nil {
				made = j.createFrom(ctx, cfg)
			}
			made.generation = j.pod.Generation
			a.mu.Lock()
			defer a.mu.Unlock()
			a.made[c.Name] = made
		})
	}
}

// wait returns all that was made.
func (a *ahead) wait() map[string]*created {
	a.work.Wait()
	return a.made
}

// first are the containers that start as soon as there is a sandbox.
func first(pod *v1.Pod) []*v1.Container {
	list := pod.Spec.Containers
	if init := pod.Spec.InitContainers; len(init) > 0 {
		list = init[:1]
	}
	var all []*v1.Container
	for i := range list {
		all = append(all, &list[i])
	}
	return all
}

// takeAhead is what was made ahead of a container, if it is what the Pod wants still. The plan sees it from then on.
func (w *worker) takeAhead(name string) *created {
	made := w.ahead[name]
	delete(w.ahead, name)
	if made == nil || made.generation != w.pod.Generation {
		return nil
	}
	return made
}

// hidden tells whether a container was made ahead, and nobody has asked for it yet.
func (w *worker) hidden(c *runtime.ContainerStatus) bool {
	made := w.ahead[c.Config.Name]
	return made != nil && made.id == c.ID
}
