package oci

import (
	"fmt"
	"slices"
	"strings"
)

// capabilities holds every capability at the place of its number, as of Linux 6.18.
var capabilities = [...]string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
	"CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
	"CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
	"CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
	"CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
	"CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// defaultCapabilities are containerd's.
var defaultCapabilities = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
	"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// CapabilityNumber is the bit of a capability such as "CAP_KILL" in the kernel's sets.
func CapabilityNumber(name string) (int, bool) {
	i := slices.Index(capabilities[:], name)
	return i, i >= 0
}

// capabilitySet is a set of numbers.
type capabilitySet uint64

func setOf(names []string) capabilitySet {
	var set capabilitySet
	for _, name := range names {
		if i, ok := CapabilityNumber(name); ok {
			set |= 1 << i
		}
	}
	return set
}

func (set capabilitySet) names() []string {
	names := []string{}
	for i, name := range capabilities {
		if set&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// granted works out a container's capabilities as containerd does: ALL replaces the default ones before single names are
// added and then dropped. A default capability that the host itself lacks is left out; asking for one is an error.
func granted(c *Config) ([]string, error) {
	host := setOf(c.HostCapabilities)
	if c.HostCapabilities == nil {
		host = 1<<len(capabilities) - 1
	}
	add, addAll, err := parseCapabilities(c.AddCapabilities)
	if err != nil {
		return nil, fmt.Errorf("add capabilities: %w", err)
	}
	drop, dropAll, err := parseCapabilities(c.DropCapabilities)
	if err != nil {
		return nil, fmt.Errorf("drop capabilities: %w", err)
	}
	if c.Privileged {
		return host.names(), nil
	}
	set := setOf(defaultCapabilities) & host
	if addAll {
		set = host
	}
	if dropAll {
		set = 0
	}
	set = set | add&^drop
	set &^= drop
	if lacking := set &^ host; lacking != 0 {
		return nil, invalid("add capabilities: this host does not have %s", strings.Join(lacking.names(), ", "))
	}
	return set.names(), nil
}

func parseCapabilities(names []string) (set capabilitySet, all bool, err error) {
	for _, name := range names {
		upper := strings.ToUpper(name)
		if upper == "ALL" {
			all = true
			continue
		}
		i, ok := CapabilityNumber("CAP_" + strings.TrimPrefix(upper, "CAP_"))
		if !ok {
			return 0, false, invalid("unknown capability %q", name)
		}
		set |= 1 << i
	}
	return set, all, nil
}
