package linux

import "runtime"

// Arch is a processor architecture, by Go's name for it.
type Arch string

// The architectures that Hull runs on.
const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// Native is the architecture of this program.
const Native = Arch(runtime.GOARCH)

// Syscall is a system call by name, whatever its number is. Only calls that both architectures have are here, so the old
// forms without a directory descriptor (open, mkdir, dup2, fork) are not.
type Syscall uint8

// The calls, in the order of their names. The zero Syscall is none.
const (
	_ Syscall = iota
	SysAddKey
	SysBind
	SysBpf
	SysCapget
	SysCapset
	SysChdir
	SysChroot
	SysClone
	SysClose
	SysCloseRange
	SysConnect
	SysDup3
	SysEventfd2
	SysExecve
	SysExecveat
	SysExitGroup
	SysFaccessat2
	SysFchdir
	SysFchmod
	SysFchmodat
	SysFchown
	SysFchownat
	SysFcntl
	SysFsconfig
	SysFsetxattr
	SysFsmount
	SysFsopen
	SysFspick
	SysFtruncate
	SysGetpid
	SysGetppid
	SysGettid
	SysIoctl
	SysIoprioSet
	SysKeyctl
	SysKill
	SysLandlockAddRule
	SysLandlockCreateRuleset
	SysLandlockRestrictSelf
	SysLinkat
	SysListen
	SysLseek
	SysMadvise
	SysMbind
	SysMemfdCreate
	SysMkdirat
	SysMknodat
	SysMmap
	SysMount
	SysMountSetattr
	SysMoveMount
	SysMunmap
	SysNewfstatat
	SysOpenTree
	SysOpenTreeAttr
	SysOpenat
	SysOpenat2
	SysPersonality
	SysPidfdGetfd
	SysPidfdOpen
	SysPidfdSendSignal
	SysPipe2
	SysPivotRoot
	SysPpoll
	SysPrctl
	SysPrlimit64
	SysRead
	SysReadlinkat
	SysRecvfrom
	SysRecvmsg
	SysRenameat2
	SysRestartSyscall
	SysRtSigaction
	SysRtSigprocmask
	SysRtSigtimedwait
	SysSchedSetaffinity
	SysSchedSetattr
	SysSeccomp
	SysSendmsg
	SysSendto
	SysSetMempolicy
	SysSetdomainname
	SysSetgroups
	SysSethostname
	SysSetns
	SysSetpgid
	SysSetpriority
	SysSetresgid
	SysSetresuid
	SysSetsid
	SysSetsockopt
	SysShutdown
	SysSocket
	SysSocketpair
	SysStatx
	SysSymlinkat
	SysUmask
	SysUmount2
	SysUname
	SysUnlinkat
	SysUnshare
	SysUtimensat
	SysWait4
	SysWaitid
	SysWrite
)

// syscalls holds each call's name and its numbers.
var syscalls = [...]struct {
	name         string
	amd64, arm64 uint16
}{
	SysAddKey:                {"add_key", 248, 217},
	SysBind:                  {"bind", 49, 200},
	SysBpf:                   {"bpf", 321, 280},
	SysCapget:                {"capget", 125, 90},
	SysCapset:                {"capset", 126, 91},
	SysChdir:                 {"chdir", 80, 49},
	SysChroot:                {"chroot", 161, 51},
	SysClone:                 {"clone", 56, 220},
	SysClose:                 {"close", 3, 57},
	SysCloseRange:            {"close_range", 436, 436},
	SysConnect:               {"connect", 42, 203},
	SysDup3:                  {"dup3", 292, 24},
	SysEventfd2:              {"eventfd2", 290, 19},
	SysExecve:                {"execve", 59, 221},
	SysExecveat:              {"execveat", 322, 281},
	SysExitGroup:             {"exit_group", 231, 94},
	SysFaccessat2:            {"faccessat2", 439, 439},
	SysFchdir:                {"fchdir", 81, 50},
	SysFchmod:                {"fchmod", 91, 52},
	SysFchmodat:              {"fchmodat", 268, 53},
	SysFchown:                {"fchown", 93, 55},
	SysFchownat:              {"fchownat", 260, 54},
	SysFcntl:                 {"fcntl", 72, 25},
	SysFsconfig:              {"fsconfig", 431, 431},
	SysFsetxattr:             {"fsetxattr", 190, 7},
	SysFsmount:               {"fsmount", 432, 432},
	SysFsopen:                {"fsopen", 430, 430},
	SysFspick:                {"fspick", 433, 433},
	SysFtruncate:             {"ftruncate", 77, 46},
	SysGetpid:                {"getpid", 39, 172},
	SysGetppid:               {"getppid", 110, 173},
	SysGettid:                {"gettid", 186, 178},
	SysIoctl:                 {"ioctl", 16, 29},
	SysIoprioSet:             {"ioprio_set", 251, 30},
	SysKeyctl:                {"keyctl", 250, 219},
	SysKill:                  {"kill", 62, 129},
	SysLandlockAddRule:       {"landlock_add_rule", 445, 445},
	SysLandlockCreateRuleset: {"landlock_create_ruleset", 444, 444},
	SysLandlockRestrictSelf:  {"landlock_restrict_self", 446, 446},
	SysLinkat:                {"linkat", 265, 37},
	SysListen:                {"listen", 50, 201},
	SysLseek:                 {"lseek", 8, 62},
	SysMadvise:               {"madvise", 28, 233},
	SysMbind:                 {"mbind", 237, 235},
	SysMemfdCreate:           {"memfd_create", 319, 279},
	SysMkdirat:               {"mkdirat", 258, 34},
	SysMknodat:               {"mknodat", 259, 33},
	SysMmap:                  {"mmap", 9, 222},
	SysMount:                 {"mount", 165, 40},
	SysMountSetattr:          {"mount_setattr", 442, 442},
	SysMoveMount:             {"move_mount", 429, 429},
	SysMunmap:                {"munmap", 11, 215},
	SysNewfstatat:            {"newfstatat", 262, 79},
	SysOpenTree:              {"open_tree", 428, 428},
	SysOpenTreeAttr:          {"open_tree_attr", 467, 467},
	SysOpenat:                {"openat", 257, 56},
	SysOpenat2:               {"openat2", 437, 437},
	SysPersonality:           {"personality", 135, 92},
	SysPidfdGetfd:            {"pidfd_getfd", 438, 438},
	SysPidfdOpen:             {"pidfd_open", 434, 434},
	SysPidfdSendSignal:       {"pidfd_send_signal", 424, 424},
	SysPipe2:                 {"pipe2", 293, 59},
	SysPivotRoot:             {"pivot_root", 155, 41},
	SysPpoll:                 {"ppoll", 271, 73},
	SysPrctl:                 {"prctl", 157, 167},
	SysPrlimit64:             {"prlimit64", 302, 261},
	SysRead:                  {"read", 0, 63},
	SysReadlinkat:            {"readlinkat", 267, 78},
	SysRecvfrom:              {"recvfrom", 45, 207},
	SysRecvmsg:               {"recvmsg", 47, 212},
	SysRenameat2:             {"renameat2", 316, 276},
	SysRestartSyscall:        {"restart_syscall", 219, 128},
	SysRtSigaction:           {"rt_sigaction", 13, 134},
	SysRtSigprocmask:         {"rt_sigprocmask", 14, 135},
	SysRtSigtimedwait:        {"rt_sigtimedwait", 128, 137},
	SysSchedSetaffinity:      {"sched_setaffinity", 203, 122},
	SysSchedSetattr:          {"sched_setattr", 314, 274},
	SysSeccomp:               {"seccomp", 317, 277},
	SysSendmsg:               {"sendmsg", 46, 211},
	SysSendto:                {"sendto", 44, 206},
	SysSetMempolicy:          {"set_mempolicy", 238, 237},
	SysSetdomainname:         {"setdomainname", 171, 162},
	SysSetgroups:             {"setgroups", 116, 159},
	SysSethostname:           {"sethostname", 170, 161},
	SysSetns:                 {"setns", 308, 268},
	SysSetpgid:               {"setpgid", 109, 154},
	SysSetpriority:           {"setpriority", 141, 140},
	SysSetresgid:             {"setresgid", 119, 149},
	SysSetresuid:             {"setresuid", 117, 147},
	SysSetsid:                {"setsid", 112, 157},
	SysSetsockopt:            {"setsockopt", 54, 208},
	SysShutdown:              {"shutdown", 48, 210},
	SysSocket:                {"socket", 41, 198},
	SysSocketpair:            {"socketpair", 53, 199},
	SysStatx:                 {"statx", 332, 291},
	SysSymlinkat:             {"symlinkat", 266, 36},
	SysUmask:                 {"umask", 95, 166},
	SysUmount2:               {"umount2", 166, 39},
	SysUname:                 {"uname", 63, 160},
	SysUnlinkat:              {"unlinkat", 263, 35},
	SysUnshare:               {"unshare", 272, 97},
	SysUtimensat:             {"utimensat", 280, 88},
	SysWait4:                 {"wait4", 61, 260},
	SysWaitid:                {"waitid", 247, 95},
	SysWrite:                 {"write", 1, 64},
}

// String is the call's name as in its manual page.
func (s Syscall) String() string {
	if int(s) >= len(syscalls) || syscalls[s].name == "" {
		return "no such call"
	}
	return syscalls[s].name
}

// Number is what the kernel of an architecture knows the call by; false where the call or the architecture is unknown.
func (s Syscall) Number(a Arch) (uint32, bool) {
	if s == 0 || int(s) >= len(syscalls) {
		return 0, false
	}
	switch a {
	case AMD64:
		return uint32(syscalls[s].amd64), true
	case ARM64:
		return uint32(syscalls[s].arm64), true
	}
	return 0, false
}
