// Package cgroup makes, limits, reads, kills and removes the control groups of one Hull, on v1, v2 and hybrid hosts alike.
//
// A group is named by its path below the hierarchies' roots, "hull/besteffort/pod<UID>/<container>", and exists in every
// hierarchy at once. What the limits mean, and the device filter, are opencontainers/cgroups' business; making, joining and
// removing are done here, because that is on the path of every start, where the library sleeps and repeats itself.
//
// On a hybrid host the v1 controllers are used and nothing is made in the v2 tree, which has none: a container stays where its parent
// is in it. What an OCI runtime makes there of a group is removed with it.
package cgroup

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/moby/sys/mountinfo"
)

// Config says where the groups of a Hull are.
type Config struct {
	Parent string   // of all groups, below the root of each hierarchy: "hull"
	Kept   []string // groups directly below it that stay when they are empty, until [Tree.Close]
	Log    *slog.Logger

	// Mounts replaces what the host has mounted, for tests of v2's files on a host without it.
	Mounts []*mountinfo.Info
}

// hierarchy is one mounted tree of groups.
type hierarchy struct {
	names []string // controllers: "memory"; "name=systemd"; empty for v2
	root  string   // where it is mounted
}

// Tree is all groups of a Hull. It holds no state: the kernel does.
type Tree struct {
	// prune keeps parents that are being used from being removed for being empty: it is held for reading while groups are
	// made, and for writing while empty parents are removed.
	prune sync.RWMutex

	parent      string
	kept        []string
	log         *slog.Logger
	unified     bool
	hybrid      bool
	hierarchies []hierarchy
	places      []hierarchy // where a group may exist: of a hybrid host the v2 tree too
	noSwap      bool        // the kernel counts no swap: v1 without swapaccount
}

// Open finds the hierarchies of this host.
func Open(cfg Config) (*Tree, error) {
	mounts := cfg.Mounts
	if mounts == nil {
		var err error
		mounts, err = mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
		if err != nil {
			return nil, fmt.Errorf("find the cgroup hierarchies: %w", err)
		}
	}
	t := &Tree{parent: cfg.Parent, kept: cfg.Kept, log: cfg.Log}
	var v2 string
	seen := map[string]bool{}
	for _, m := range mounts {
		switch {
		case m.FSType == "cgroup2" && v2 == "":
			v2 = m.Mountpoint
		case m.FSType == "cgroup" && !seen[m.VFSOptions]:
			seen[m.VFSOptions] = true // a hierarchy may be mounted twice
			t.hierarchies = append(t.hierarchies, hierarchy{names: controllers(m.VFSOptions), root: m.Mountpoint})
		}
	}
	switch {
	case len(t.hierarchies) > 0:
		t.hybrid = v2 != ""
	case v2 != "":
		t.unified = true
		t.hierarchies = []hierarchy{{root: v2}}
	default:
		return nil, errors.New("no cgroup hierarchy is mounted on this host")
	}
	t.places = t.hierarchies
	if t.hybrid {
		// Hull makes nothing there; an OCI runtime that is told the group's path does.
		t.places = append(slices.Clone(t.hierarchies), hierarchy{root: v2})
	}
	if dir := t.rootOf("memory"); dir != "" && !t.unified {
		_, err := os.Stat(filepath.Join(dir, "memory.memsw.limit_in_bytes"))
		if t.noSwap = errors.Is(err, os.ErrNotExist); t.noSwap {
			t.log.Debug("the kernel counts no swap: limits of swap are left out")
		}
	}
	return t, t.warm()
}

// controllers are the superblock's options but for the flags that every file system has.
func controllers(options string) []string {
	var names []string
	for o := range strings.SplitSeq(options, ",") {
		if !slices.Contains([]string{"rw", "ro", "xattr", "clone_children", "noprefix", "none"}, o) && !strings.HasPrefix(o, "release_agent=") {
			names = append(names, o)
		}
	}
	return names
}

// Unified tells whether this host has v2 alone.
func (t *Tree) Unified() bool { return t.unified }

// CountsSwap tells whether there are limits of swap.
func (t *Tree) CountsSwap() bool { return !t.noSwap }

// Hierarchies is how many files Join opens.
func (t *Tree) Hierarchies() int { return len(t.hierarchies) }

// Version is "v1", "v2" or "hybrid", for people.
func (t *Tree) Version() string {
	switch {
	case t.unified:
		return "v2"
	case t.hybrid:
		return "hybrid"
	default:
		return "v1"
	}
}

// Group is one group of a Hull, which may or may not exist.
type Group struct {
	t    *Tree
	path string // below the Hull's parent
}

// Load names a group below the Hull's parent.
func (t *Tree) Load(path string) *Group { return &Group{t: t, path: filepath.Clean("/" + path)[1:]} }

// Path is the group's path below the root of each hierarchy, beginning with a slash, as /proc/PID/cgroup shows it.
func (g *Group) Path() string { return filepath.Join("/", g.t.parent, g.path) }

func (g *Group) dir(h hierarchy) string { return filepath.Join(h.root, g.t.parent, g.path) }

// dirs are the group's directories, wherever it may exist.
func (g *Group) dirs() []string {
	var dirs []string
	for _, h := range g.t.places {
		dirs = append(dirs, g.dir(h))
	}
	return dirs
}

// of is the directory of one v1 controller, or of the group itself on v2; empty where the host has no such controller.
func (g *Group) of(controller string) string {
	root := g.t.rootOf(controller)
	if root == "" {
		return ""
	}
	return filepath.Join(root, g.t.parent, g.path)
}

// rootOf is where a controller's hierarchy is mounted; empty where it is not.
func (t *Tree) rootOf(controller string) string {
	for _, h := range t.hierarchies {
		if t.unified || slices.Contains(h.names, controller) {
			return h.root
		}
	}
	return ""
}
