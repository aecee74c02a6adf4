package crash

import (
	"fmt"
	"sync"
	"testing"
)

// many is how many Pods come and go at once.
const many = 50

func small(name string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q},"spec":{"terminationGracePeriodSeconds":5,
	"volumes":[{"name":"mem","emptyDir":{"medium":"Memory"}}],
	"containers":[{"name":"c","image":"localhost/hull/toolbox","command":["sleep","infinity"],"volumeMounts":[{"name":"mem","mountPath":"/mem"}]},
	{"name":"d","image":"localhost/hull/toolbox","command":["sleep","infinity"]}]}}`, name)
}

// TestMany applies Pods at once, and deletes each in one of the ways in which people do.
func TestMany(t *testing.T) {
	h := start(t)
	descriptors := h.KeeperDescriptors()
	running := func(p *pod) bool { return p != nil && p.running("c", "d") }
	ways := map[string]func(name string){
		"when it runs": func(name string) {
			h.await(name, "its containers to run", running)
			h.remove(name, -1)
		},
		"while it starts": func(name string) { h.remove(name, -1) },
		"by force": func(name string) {
			h.delete(name, 0)
			h.await(name, "its removal", func(p *pod) bool { return p == nil })
		},
		"by force when it runs": func(name string) {
			h.await(name, "its containers to run", running)
			h.delete(name, 0)
		},
		"and makes it again": func(name string) {
			h.await(name, "its containers to run", running)
			h.remove(name, 1)
			h.create(small(name))
			p := h.await(name, "its containers to run", running)
			if n := p.container("c").RestartCount; n != 0 {
				t.Errorf("%s: a new Pod has %d restarts", name, n)
			}
			h.remove(name, -1)
		},
		"by force, and makes it again": func(name string) {
			h.delete(name, 0)
			h.create(small(name))
			h.await(name, "its containers to run", running)
			h.delete(name, 0)
		},
	}
	var names []string
	for way := range ways {
		names = append(names, way)
	}
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			name := fmt.Sprintf("pod%d", i)
			h.create(small(name))
			ways[names[i%len(names)]](name)
		})
	}
	all.Wait()
	h.clean(descriptors)
}
