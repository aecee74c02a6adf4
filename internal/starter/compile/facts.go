package compile

import (
	"golang.org/x/sys/unix"
)

// Facts is what a compilation takes from the host. With the same spec and facts, the same program comes out.
type Facts struct {
	Attach  string // the host's directory on which the root is until pivot_root, for hooks; "" where nobody looks
	LastCap int    // the highest capability of this kernel

	OldProc bool // a procfs can be made for the maker's own PID namespace only

	Filter      []unix.SockFilter // the spec's seccomp profile, compiled
	FilterFlags uint32
	FilterFirst bool // the filter allows what a program does after its fork: see [AfterFilter]
	// Passage is, where it does not, the filter with these calls let through: what the child of a fork has until it loads the other.
	Passage []unix.SockFilter `json:"-"`

	Files   map[string]bool   // destinations of bind mounts whose source is not a directory
	Targets map[string]string // destinations whose place in the root file system has another name, free of symlinks

	Unified bool        // the host has cgroups of version 2 alone
	Cgroups []Hierarchy // version 1: what a cgroup mount shows

	Stdin, Stdout, Stderr bool // are given; the others are the null device

	Wait    bool // for a word of the maker before the command
	Witness bool // wants to know that the execve has been reached
}

// Hierarchy is a version 1 cgroup hierarchy.
type Hierarchy struct {
	Name        string   // of its directory: "cpu,cpuacct"
	Controllers []string // names that are symlinks to it where they differ: "cpu", "cpuacct"
}
