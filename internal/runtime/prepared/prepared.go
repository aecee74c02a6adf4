// Package prepared is what the creation of a container leaves for its start: what it has opened, the spec, and, as far as that can be
// had before the start is asked for, the process itself.
package prepared

import (
	"os"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/runtime/record"
	"github.com/hull-pods/hull/internal/runtime/stdio"
	"github.com/hull-pods/hull/internal/starter"
)

// Prepared is that of one container. Whoever takes it out of the container has it alone.
type Prepared struct {
	Rootfs  *os.File
	Sources map[string]*os.File // of mounts, by destination
	Spec    *oci.Spec
	Group   *cgroup.Pending

	stdio *stdio.Set // made for born
	born  *starter.Prepared
}

// Begin has the process born beside what else is made, if its starter can: it waits for its program until the start. What goes wrong
// is the start's to meet again, and to tell. A container that sees what the host mounts later is born when it starts, so that nothing
// is missed in between.
func (p *Prepared) Begin(s starter.Starter, id, bundle string, c *record.ContainerConfig) {
	by, able := s.(starter.Preparer)
	for _, m := range c.Mounts {
		able = able && (m.Propagation == "" || m.Propagation == "None")
	}
	if !able {
		return
	}
	made, err := stdio.Make(c)
	p.stdio = &made
	if err == nil {
		p.born, err = by.Prepare(p.request(id, bundle, &made))
	}
	if err != nil {
		p.closeStdio()
	}
}

// Stdio is what the process reads from and writes to; what of it could be made, if it is an error. It is the caller's from then on.
func (p *Prepared) Stdio(c *record.ContainerConfig) (stdio.Set, error) {
	if made := p.stdio; made != nil {
		p.stdio = nil
		return *made, nil
	}
	return stdio.Make(c)
}

// Request asks for the start, but for the functions that are the start's own.
func (p *Prepared) Request(id, bundle string, s *stdio.Set) starter.Request {
	r := p.request(id, bundle, s)
	r.Prepared, p.born = p.born, nil
	return r
}

func (p *Prepared) request(id, bundle string, s *stdio.Set) starter.Request {
	return starter.Request{
		Key: id, Spec: p.Spec, Rootfs: p.Rootfs, Sources: p.Sources, Cgroups: p.Group.Join, Bundle: bundle,
		Stdin: s.Stdin, Stdout: s.Stdout, Stderr: s.Stderr, Witness: s.Witness,
	}
}

// Close lets go of everything, and ends a process that was not started. It may be called on nil, and again.
func (p *Prepared) Close() {
	if p == nil {
		return
	}
	p.born.Close()
	p.closeStdio()
	if p.Rootfs != nil {
		_ = p.Rootfs.Close()
	}
	for _, f := range p.Sources {
		_ = f.Close()
	}
}

func (p *Prepared) closeStdio() {
	if p.stdio == nil {
		return
	}
	_ = p.stdio.CloseOurs()
	p.stdio.CloseTheirs()
	if p.stdio.Input != nil {
		_ = p.stdio.Input.Close()
	}
	p.stdio = nil
}
