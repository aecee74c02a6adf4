package oci

import (
	"errors"
	"slices"
	"strings"
)

// ipcSysctls are those of the kernel tree that an IPC namespace has for itself.
var ipcSysctls = []string{
	"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.msg_next_id", "kernel.sem", "kernel.sem_next_id", "kernel.shmall",
	"kernel.shmmax", "kernel.shmmni", "kernel.shm_next_id", "kernel.shm_rmid_forced",
}

// checkSysctls refuses what would change the host: a sysctl must belong to a namespace, and that must not be the host's.
func checkSysctls(c *Config) error {
	var errs []error
	for _, name := range sortedKeys(c.Sysctls) {
		key := strings.ReplaceAll(name, "/", ".")
		var of Namespace
		var what string
		switch {
		case slices.Contains(ipcSysctls, key) || strings.HasPrefix(key, "fs.mqueue."):
			of, what = c.Namespaces.IPC, "IPC"
		case strings.HasPrefix(key, "net."):
			of, what = c.Namespaces.Net, "network"
		case key == "kernel.domainname":
			of, what = c.Namespaces.UTS, "UTS"
		case key == "kernel.hostname":
			errs = append(errs, invalid("sysctl %s: the hostname is a field of its own", name))
			continue
		case strings.HasPrefix(key, "user."):
			if !c.Namespaces.userOwn() {
				errs = append(errs, invalid("sysctl %s: the container has the host's user namespace", name))
			}
			continue
		default:
			errs = append(errs, invalid("sysctl %s belongs to no namespace", name))
			continue
		}
		if !of.own() {
			errs = append(errs, invalid("sysctl %s: the container has the host's %s namespace", name, what))
		}
	}
	return errors.Join(errs...)
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
