package starter

import (
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// Listing is the birth of a container as text: the program is compiled again from its spec and what Start returned of the
// host, as a listing is longer than all else that is kept of a container, and hardly ever asked for. cgroups is how many
// cgroup files there were.
func (n *Native) Listing(spec *oci.Spec, facts Facts, cgroups int) (string, error) {
	if err := n.filters.into(&facts, spec.Linux.Seccomp); err != nil {
		return "", err
	}
	b, err := compile.Container(spec, facts, cgroups)
	if err != nil {
		return "", err
	}
	return b.Program.String(), nil
}

// InfraListing is the birth of a sandbox's infra process as text. Of the request, what is compiled must be as it was.
func (n *Native) InfraListing(r InfraRequest, cgroups int) (string, error) {
	b, err := n.compileInfra(r, cgroups)
	if err != nil {
		return "", err
	}
	return b.Program.String(), nil
}
