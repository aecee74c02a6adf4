package compile

import (
	"path"

	"github.com/hull-pods/hull/internal/oci"
)

// Check refuses what the native starter does not do: nothing of a spec is passed over in silence.
func Check(spec *oci.Spec) error {
	switch l := spec.Linux; {
	case spec.Process == nil:
		return invalid("the spec has no process")
	case l == nil:
		return invalid("the spec has no linux section")
	case len(l.TimeOffsets) > 0:
		return unsupported("time offsets")
	case l.IntelRdt != nil:
		return unsupported("Intel RDT")
	case l.MountLabel != "":
		return unsupported("SELinux mount labels")
	case len(l.NetDevices) > 0:
		return unsupported("moving network devices")
	case l.Personality != nil:
		return unsupported("a personality")
	case l.MemoryPolicy != nil:
		return unsupported("memory policies")
	case len(l.MaskedPaths) > maxPaths || len(l.ReadonlyPaths) > maxPaths:
		return invalid("more than %d masked or read-only paths", maxPaths)
	}
	for _, m := range spec.Mounts {
		if !path.IsAbs(m.Destination) || path.Clean(m.Destination) == "/" {
			return invalid("mount on %q: not an absolute path below the root", m.Destination)
		}
	}
	return checkProcess(spec.Process)
}

const maxPaths = 1000

func checkProcess(p *oci.Process) error {
	switch {
	case len(p.Args) == 0 || p.Args[0] == "":
		return invalid("no command specified")
	case p.Cwd != "" && !path.IsAbs(p.Cwd):
		return invalid("cwd %q is not an absolute path", p.Cwd)
	case p.ApparmorProfile != "":
		return unsupported("AppArmor profile %s", p.ApparmorProfile)
	case p.SelinuxLabel != "":
		return unsupported("SELinux label %s", p.SelinuxLabel)
	case p.Scheduler != nil:
		return unsupported("a scheduler")
	case p.IOPriority != nil:
		return unsupported("an I/O priority")
	case p.ExecCPUAffinity != nil:
		return unsupported("CPU affinity of exec")
	}
	return nil
}
