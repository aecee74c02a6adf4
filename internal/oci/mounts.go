package oci

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// maskedPaths and readonlyPaths are those that the kubelet asks a runtime for.
var (
	maskedPaths = []string{
		"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
		"/sys/devices/virtual/powercap",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

const (
	ttyGroup       = 5
	defaultShmSize = 64 << 20
)

// defaultMounts are containerd's for CRI: no /run, and /dev/shm is the Pod's.
func defaultMounts(c *Config) []SpecMount {
	access := "ro"
	if c.Privileged {
		access = "rw"
	}
	pts := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	if mapped(c.GIDMappings, ttyGroup) {
		pts = append(pts, "gid="+strconv.Itoa(ttyGroup))
	}
	sys := SpecMount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", access}}
	if c.Namespaces.Net.Kind == NamespaceHost && c.Namespaces.userOwn() {
		// sysfs shows a network namespace, and the user namespace does not own the host's: the kernel refuses to mount it.
		sys = SpecMount{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"rbind", "rro", "nosuid", "noexec", "nodev"}}
	}
	return []SpecMount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: pts},
		shmMount(c),
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
		sys,
		{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "relatime", access}},
	}
}

func shmMount(c *Config) SpecMount {
	if c.ShmPath != "" {
		return SpecMount{Destination: "/dev/shm", Type: "bind", Source: c.ShmPath, Options: []string{"rbind", "rprivate", "rw"}}
	}
	size := c.ShmSize
	if size == 0 {
		size = defaultShmSize
	}
	return SpecMount{
		Destination: "/dev/shm", Type: "tmpfs", Source: "shm",
		Options: []string{"nosuid", "noexec", "nodev", "mode=1777", fmt.Sprintf("size=%dk", size>>10)},
	}
}

// specMounts puts the default mounts before the given ones, those again by depth, so that none hides another. A given
// mount replaces the default one at its destination; one on /dev replaces all that is below it.
func specMounts(c *Config) []SpecMount {
	taken := map[string]bool{}
	for _, m := range c.Mounts {
		if !m.GivesWay {
			taken[path.Clean(m.Destination)] = true
		}
	}
	given := slices.DeleteFunc(slices.Clone(c.Mounts), func(m Mount) bool {
		return m.GivesWay && taken[path.Clean(m.Destination)]
	})
	for _, m := range given {
		taken[path.Clean(m.Destination)] = true
	}
	slices.SortStableFunc(given, func(a, b Mount) int { return depth(a.Destination) - depth(b.Destination) })
	out := slices.DeleteFunc(defaultMounts(c), func(m SpecMount) bool {
		return taken[m.Destination] || taken["/dev"] && strings.HasPrefix(m.Destination, "/dev/")
	})
	for _, m := range given {
		out = append(out, specMount(c, m))
	}
	return out
}

func depth(p string) int { return strings.Count(path.Clean(p), "/") }

func specMount(c *Config, m Mount) SpecMount {
	s := SpecMount{Destination: path.Clean(m.Destination), Type: m.Type, Source: m.Source}
	if m.bind() {
		s.Type = "bind"
		s.Options = append(s.Options, "rbind", propagationOption(m.Propagation))
	} else if s.Source == "" {
		s.Source = m.Type
	}
	switch {
	case m.RecursiveReadOnly:
		s.Options = append(s.Options, "rro")
	case m.ReadOnly:
		s.Options = append(s.Options, "ro")
	default:
		s.Options = append(s.Options, "rw")
	}
	s.Options = append(s.Options, m.Options...)
	if m.IDMapped {
		s.UIDMappings, s.GIDMappings = specMappings(c.UIDMappings), specMappings(c.GIDMappings)
	}
	return s
}

func (m Mount) bind() bool { return m.Type == "" || m.Type == "bind" }

func propagationOption(p Propagation) string {
	switch p {
	case PropagationHostToContainer:
		return "rslave"
	case PropagationBidirectional:
		return "rshared"
	default:
		return "rprivate"
	}
}

// rootPropagation lets mounts through the container's root where one of its mounts wants them; "" leaves it private.
func rootPropagation(mounts []Mount) string {
	propagation := ""
	for _, m := range mounts {
		switch m.Propagation {
		case PropagationBidirectional:
			return "rshared"
		case PropagationHostToContainer:
			propagation = "rslave"
		}
	}
	return propagation
}

func checkMount(m Mount) error {
	what := fmt.Sprintf("mount on %q", m.Destination)
	errs := []error{checkPath(what, m.Destination)}
	if path.Clean(m.Destination) == "/" {
		errs = append(errs, invalid("%s: the root is not a mount's", what))
	}
	if m.bind() {
		errs = append(errs, checkPath(what+": source", m.Source))
	}
	switch m.Propagation {
	case "", PropagationNone:
	case PropagationHostToContainer, PropagationBidirectional:
		if m.RecursiveReadOnly {
			errs = append(errs, invalid("%s: recursive read-only goes with no propagation, not %s", what, m.Propagation))
		}
	default:
		errs = append(errs, invalid("%s: unknown propagation %q", what, m.Propagation))
	}
	if m.RecursiveReadOnly && !m.ReadOnly {
		errs = append(errs, invalid("%s: recursive read-only goes with read-only", what))
	}
	return errors.Join(errs...)
}
