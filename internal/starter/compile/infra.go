package compile

import (
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// nobody is who the infra process is.
const nobody = 65534

// Sandbox is what an infra process sets up.
type Sandbox struct {
	Flags                    uintptr // of its clone: the namespaces that are its own
	JoinNet                  bool    // it joins a network namespace
	Hostname                 string
	Sysctls                  map[string]string
	UIDMappings, GIDMappings []oci.LinuxIDMapping // of a user namespace of its own
}

// Infra is the program of a sandbox's infra process: it sets up the namespaces that it was cloned into, gives up
// every right that it has, and rests. Its root is the empty one that every program starts in.
func Infra(s Sandbox, facts Facts, cgroups int) (*Birth, error) {
	c := &compiler{p: birth.New("infra"), facts: facts, spec: &oci.Spec{Linux: &oci.Linux{}}}
	b := &Birth{Program: c.p, Flags: s.Flags}
	c.joinCgroups(cgroups)
	if s.JoinNet {
		c.call("join the network namespace", linux.SysSetns, c.p.FD(FDNamespace(oci.NetworkNamespace)), num(unix.CLONE_NEWNET))
	}
	c.call("enter /", linux.SysChdir, str("/"))
	if s.Flags&unix.CLONE_NEWUTS != 0 && s.Hostname != "" {
		c.hostname(s.Hostname)
	}
	if err := c.sysctls(nil, s.Sysctls); err != nil {
		return nil, err
	}
	c.call("name itself", linux.SysPrctl, num(unix.PR_SET_NAME), str("hull-infra"))
	c.call("begin a session", linux.SysSetsid)
	c.call("take a keyring of its own", linux.SysKeyctl, num(unix.KEYCTL_JOIN_SESSION_KEYRING), num(0)).Allow(unix.ENOSYS, unix.EDQUOT)
	id := uint32(nobody)
	if len(s.UIDMappings) > 0 && (!maps(s.UIDMappings, nobody) || !maps(s.GIDMappings, nobody)) {
		id = 0
	}
	own := process{c}
	own.user(&oci.Process{User: oci.User{UID: id, GID: id}}, capabilitySets{})
	own.capabilities(capabilitySets{})
	c.call("gain no new privileges", linux.SysPrctl, num(unix.PR_SET_NO_NEW_PRIVS), num(1))
	c.call("close everything else", linux.SysCloseRange, num(birth.Socket+1), num(^uint32(0)), num(0))
	own.filter("load the seccomp filter", facts.Filter)
	c.p.Rest()
	return b, nil
}

func maps(mappings []oci.LinuxIDMapping, id uint32) bool {
	for _, m := range mappings {
		if id >= m.ContainerID && uint64(id) < uint64(m.ContainerID)+uint64(m.Size) {
			return true
		}
	}
	return false
}

// RestFilter lets a process at rest make its few calls; any other kills it.
func RestFilter(arch linux.Arch) []unix.SockFilter {
	const archOffset, nrOffset = 4, 0
	audit := uint32(unix.AUDIT_ARCH_X86_64)
	if arch == linux.ARM64 {
		audit = unix.AUDIT_ARCH_AARCH64
	}
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	ret := func(what uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: what} }
	equal := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: k}
	}
	calls := birth.RestCalls()
	prog := []unix.SockFilter{load(archOffset), equal(audit, 1, 0), ret(unix.SECCOMP_RET_KILL_PROCESS), load(nrOffset)}
	for i, call := range calls {
		n, _ := call.Number(arch)
		prog = append(prog, equal(n, uint8(len(calls)-i), 0))
	}
	return append(prog, ret(unix.SECCOMP_RET_KILL_PROCESS), ret(unix.SECCOMP_RET_ALLOW))
}
