package compile

import (
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// Exec turns a further process of a container into a program: it enters the container's cgroups and all of its
// namespaces at once, through the pidfd of the container's first process, and takes on the container's restrictions.
func Exec(spec *oci.Spec, p *oci.Process, facts Facts, cgroups int) (*Birth, error) {
	if err := Check(spec); err != nil {
		return nil, err
	}
	if err := checkProcess(p); err != nil {
		return nil, err
	}
	ns, err := NamespacesOf(spec)
	if err != nil {
		return nil, err
	}
	c := &compiler{p: birth.New("exec"), spec: spec, facts: facts, userns: ns.User()}
	c.hide()
	c.joinCgroups(cgroups)
	all := ns.Fresh | ns.Joined
	c.call("join the container's namespaces", linux.SysSetns, c.p.FD(FDContainer), num(all))
	if c.userns {
		c.becomeRoot()
	}
	if err := (process{c}).become(p, all&unix.CLONE_NEWPID != 0); err != nil {
		return nil, err
	}
	return &Birth{Program: c.p, Forks: c.forks, Late: c.forks}, nil
}
