package starter

import (
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

// What the tests in starter_test see of the inside.

// Program is hull-init.
func (n *Native) Program() *os.File { return n.init }

// CgroupMounts are the mount points of the version 1 hierarchies.
func (n *Native) CgroupMounts() []string {
	var at []string
	for _, h := range n.cgroups {
		at = append(at, h.mountpoint)
	}
	return at
}

// SetOldProc makes the starter do as on Linux before 6.17.
func (n *Native) SetOldProc() { n.oldProc = true }

// UserNamespace makes one with a mapping.
func (n *Native) UserNamespace(uids, gids []oci.LinuxIDMapping) (*os.File, error) {
	return n.userNamespace(uids, gids)
}

// Filter compiles a profile, or takes it from the cache.
func (n *Native) Filter(p *oci.LinuxSeccomp) ([]unix.SockFilter, uint32, error) {
	return n.filters.get(p)
}

// LastCap is the highest capability.
func (n *Native) LastCap() int { return n.lastCap }

// SetPatience bounds the wait for a process that others may see.
func (n *Native) SetPatience(d time.Duration) { n.patience = d }
