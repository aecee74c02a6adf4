package compile

import (
	"slices"

	"github.com/hull-pods/hull/internal/oci"
)

// capabilitySets are the five sets, a bit for each capability.
type capabilitySets struct {
	bounding, effective, permitted, inheritable, ambient uint64
}

func capabilitiesOf(p *oci.Process) (capabilitySets, error) {
	var sets capabilitySets
	if p.Capabilities == nil {
		return sets, nil
	}
	for _, s := range []struct {
		names []string
		set   *uint64
	}{
		{p.Capabilities.Bounding, &sets.bounding}, {p.Capabilities.Effective, &sets.effective},
		{p.Capabilities.Permitted, &sets.permitted}, {p.Capabilities.Inheritable, &sets.inheritable},
		{p.Capabilities.Ambient, &sets.ambient},
	} {
		for _, name := range s.names {
			n, ok := oci.CapabilityNumber(name)
			if !ok {
				return sets, invalid("unknown capability %q", name)
			}
			*s.set |= 1 << n
		}
	}
	sets.ambient &= sets.permitted & sets.inheritable
	return sets, nil
}

// Unraised are the ambient capabilities that a process asks for and cannot have: the kernel wants each of them to be permitted and
// inheritable too. The runtime specification has them warned of.
func Unraised(p *oci.Process) []string {
	if p == nil || p.Capabilities == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.Capabilities.Ambient), func(name string) bool {
		return slices.Contains(p.Capabilities.Permitted, name) && slices.Contains(p.Capabilities.Inheritable, name)
	})
}

// mayMount tells whether a process, or what it executes, may change mounts in its own right.
func mayMount(p *oci.Process) bool {
	const admin = "CAP_SYS_ADMIN"
	c := p.Capabilities
	return c != nil && (slices.Contains(c.Bounding, admin) || slices.Contains(c.Permitted, admin) || slices.Contains(c.Effective, admin))
}
