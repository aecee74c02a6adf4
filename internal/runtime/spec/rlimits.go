package spec

import (
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

// softFiles is how many files a process on Linux may open if nobody says otherwise.
const softFiles = 1024

// openFiles is a container's limit of open files. Go has raised hulld's own soft limit to the hard one, and what hulld
// starts would inherit that: programs that use select(2), or close every descriptor that there may be, do not expect it. They
// may raise it themselves.
func openFiles() []oci.Rlimit {
	var own unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &own) != nil {
		return nil
	}
	return []oci.Rlimit{{Type: "RLIMIT_NOFILE", Soft: min(softFiles, own.Max), Hard: own.Max}}
}
