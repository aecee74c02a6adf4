package cgroup

import (
	"os"
	"sync"
)

// Pending is a cgroup that is being made beside other work. Its methods wait until that has come to an end.
type Pending struct {
	made func() (*Group, error)
}

// Begin is Create that does not wait.
func (t *Tree) Begin(path string, r Resources) *Pending {
	p := &Pending{made: sync.OnceValues(func() (*Group, error) { return t.Create(path, r) })}
	go p.made()
	return p
}

// Wait returns the cgroup. Of none, that was never begun, there is nothing to wait for.
func (p *Pending) Wait() (*Group, error) {
	if p == nil {
		return nil, nil
	}
	return p.made()
}

// Join is that of the cgroup, once it is there.
func (p *Pending) Join() ([]*os.File, error) {
	g, err := p.made()
	if err != nil {
		return nil, err
	}
	return g.Join()
}
