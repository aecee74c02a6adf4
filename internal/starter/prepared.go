package starter

import (
	"fmt"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// Preparer is a starter that can do most of a start before it is asked for: see [Prepared].
type Preparer interface {
	// Prepare begins a start of which r has everything but the functions, and of which the namespaces to join need not be there yet.
	// The start is to have a Ready. What is opened stays the caller's, until the start has used it.
	Prepare(r Request) (*Prepared, error)
}

// Prepared is most of a start: the process has been cloned and waits for its program; that is compiled, and what it mounts is open.
type Prepared struct {
	d     *delivery
	birth *compile.Birth
	facts Facts
}

// Close lets go of it, and ends the process if it has not been started. It may be called again, and on nil.
func (p *Prepared) Close() {
	if p != nil {
		p.d.end(new(error))
	}
}

// Prepare implements [Preparer].
func (n *Native) Prepare(r Request) (*Prepared, error) {
	p, err := conceive(n, r, true)
	if err != nil {
		return nil, err
	}
	made := <-p.d.cloning
	p.d.cloning <- made
	if made.err != nil {
		p.Close()
	}
	return p, made.err
}

// conceive clones the process and compiles its program; waits says whether that has it wait for a word before its command.
func conceive(n *Native, r Request, waits bool) (_ *Prepared, err error) {
	d := n.delivery("") // the caller knows the container by a better name
	defer func() {
		if err != nil {
			d.end(&err)
		}
	}()
	if err := compile.Check(r.Spec); err != nil {
		return nil, err
	}
	ns, err := compile.NamespacesOf(r.Spec)
	if err != nil {
		return nil, err
	}
	d.clone(templateOf(r.Spec, ns), orderOf(r.Spec, ns))
	facts, err := n.prepare(d, r, ns)
	if err != nil {
		return nil, err
	}
	facts.Wait = waits
	b, err := compile.Container(r.Spec, facts, len(d.joined))
	if err != nil {
		return nil, err
	}
	facts.Filter, facts.Passage = nil, nil
	return &Prepared{d: d, birth: b, facts: facts}, nil
}

func templateOf(spec *oci.Spec, ns compile.Namespaces) template {
	switch {
	case compile.WantsHost(spec):
		return hostTree
	case ns.User():
		return visible
	}
	return bare
}

func orderOf(spec *oci.Spec, ns compile.Namespaces) order {
	o := order{name: "hull-init", flags: ns.First()}
	if ns.Fresh&unix.CLONE_NEWUSER != 0 {
		o.uidMappings, o.gidMappings = spec.Linux.UIDMappings, spec.Linux.GIDMappings
	}
	return o
}

// take is what a request has, or what a starter makes for it.
func take(n *Native, r Request) (*Prepared, error) {
	switch {
	case r.Prepared == nil:
		return conceive(n, r, r.Ready != nil)
	case r.Ready == nil:
		r.Prepared.Close()
		return nil, fmt.Errorf("the start waits for a word that nobody gives: %w", errdefs.ErrInvalidArgument)
	}
	return r.Prepared, nil
}
