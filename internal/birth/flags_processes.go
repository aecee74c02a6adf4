package birth

import "golang.org/x/sys/unix"

// What calls on processes take: capability names one capability by its number.
var capability = enum(
	named{unix.CAP_CHOWN, "CAP_CHOWN"},
	named{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"},
	named{unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
	named{unix.CAP_FOWNER, "CAP_FOWNER"},
	named{unix.CAP_FSETID, "CAP_FSETID"},
	named{unix.CAP_KILL, "CAP_KILL"},
	named{unix.CAP_SETGID, "CAP_SETGID"},
	named{unix.CAP_SETUID, "CAP_SETUID"},
	named{unix.CAP_SETPCAP, "CAP_SETPCAP"},
	named{unix.CAP_LINUX_IMMUTABLE, "CAP_LINUX_IMMUTABLE"},
	named{unix.CAP_NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE"},
	named{unix.CAP_NET_BROADCAST, "CAP_NET_BROADCAST"},
	named{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"},
	named{unix.CAP_NET_RAW, "CAP_NET_RAW"},
	named{unix.CAP_IPC_LOCK, "CAP_IPC_LOCK"},
	named{unix.CAP_IPC_OWNER, "CAP_IPC_OWNER"},
	named{unix.CAP_SYS_MODULE, "CAP_SYS_MODULE"},
	named{unix.CAP_SYS_RAWIO, "CAP_SYS_RAWIO"},
	named{unix.CAP_SYS_CHROOT, "CAP_SYS_CHROOT"},
	named{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	named{unix.CAP_SYS_PACCT, "CAP_SYS_PACCT"},
	named{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
	named{unix.CAP_SYS_BOOT, "CAP_SYS_BOOT"},
	named{unix.CAP_SYS_NICE, "CAP_SYS_NICE"},
	named{unix.CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE"},
	named{unix.CAP_SYS_TIME, "CAP_SYS_TIME"},
	named{unix.CAP_SYS_TTY_CONFIG, "CAP_SYS_TTY_CONFIG"},
	named{unix.CAP_MKNOD, "CAP_MKNOD"},
	named{unix.CAP_LEASE, "CAP_LEASE"},
	named{unix.CAP_AUDIT_WRITE, "CAP_AUDIT_WRITE"},
	named{unix.CAP_AUDIT_CONTROL, "CAP_AUDIT_CONTROL"},
	named{unix.CAP_SETFCAP, "CAP_SETFCAP"},
	named{unix.CAP_MAC_OVERRIDE, "CAP_MAC_OVERRIDE"},
	named{unix.CAP_MAC_ADMIN, "CAP_MAC_ADMIN"},
	named{unix.CAP_SYSLOG, "CAP_SYSLOG"},
	named{unix.CAP_WAKE_ALARM, "CAP_WAKE_ALARM"},
	named{unix.CAP_BLOCK_SUSPEND, "CAP_BLOCK_SUSPEND"},
	named{unix.CAP_AUDIT_READ, "CAP_AUDIT_READ"},
	named{unix.CAP_PERFMON, "CAP_PERFMON"},
	named{unix.CAP_BPF, "CAP_BPF"},
	named{unix.CAP_CHECKPOINT_RESTORE, "CAP_CHECKPOINT_RESTORE"},
)
var prctlOptions = enum(
	named{unix.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"},
	named{unix.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"},
	named{unix.PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS"},
	named{unix.PR_SET_NAME, "PR_SET_NAME"},
	named{unix.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"},
	named{unix.PR_CAPBSET_READ, "PR_CAPBSET_READ"},
	named{unix.PR_SET_SECUREBITS, "PR_SET_SECUREBITS"},
	named{unix.PR_SET_CHILD_SUBREAPER, "PR_SET_CHILD_SUBREAPER"},
	named{unix.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"},
	named{unix.PR_SET_THP_DISABLE, "PR_SET_THP_DISABLE"},
	named{unix.PR_SET_IO_FLUSHER, "PR_SET_IO_FLUSHER"},
	named{unix.PR_SET_MDWE, "PR_SET_MDWE"},
	named{unix.PR_SET_MEMORY_MERGE, "PR_SET_MEMORY_MERGE"},
	named{unix.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"},
	named{unix.PR_SET_TIMERSLACK, "PR_SET_TIMERSLACK"},
	named{unix.PR_SET_SPECULATION_CTRL, "PR_SET_SPECULATION_CTRL"},
	named{unix.PR_SET_SECCOMP, "PR_SET_SECCOMP"},
)
var ambientOptions = enum(
	named{unix.PR_CAP_AMBIENT_IS_SET, "PR_CAP_AMBIENT_IS_SET"},
	named{unix.PR_CAP_AMBIENT_RAISE, "PR_CAP_AMBIENT_RAISE"},
	named{unix.PR_CAP_AMBIENT_LOWER, "PR_CAP_AMBIENT_LOWER"},
	named{unix.PR_CAP_AMBIENT_CLEAR_ALL, "PR_CAP_AMBIENT_CLEAR_ALL"},
)
var securebits = flags(
	named{1, "SECBIT_NOROOT"},
	named{2, "SECBIT_NOROOT_LOCKED"},
	named{4, "SECBIT_NO_SETUID_FIXUP"},
	named{8, "SECBIT_NO_SETUID_FIXUP_LOCKED"},
	named{16, "SECBIT_KEEP_CAPS"},
	named{32, "SECBIT_KEEP_CAPS_LOCKED"},
	named{64, "SECBIT_NO_CAP_AMBIENT_RAISE"},
	named{128, "SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED"},
)
var seccompOperations = enum(
	named{unix.SECCOMP_SET_MODE_STRICT, "SECCOMP_SET_MODE_STRICT"},
	named{unix.SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"},
	named{unix.SECCOMP_GET_ACTION_AVAIL, "SECCOMP_GET_ACTION_AVAIL"},
	named{unix.SECCOMP_GET_NOTIF_SIZES, "SECCOMP_GET_NOTIF_SIZES"},
)
var seccompFlags = flags(
	named{unix.SECCOMP_FILTER_FLAG_TSYNC, "SECCOMP_FILTER_FLAG_TSYNC"},
	named{unix.SECCOMP_FILTER_FLAG_LOG, "SECCOMP_FILTER_FLAG_LOG"},
	named{unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"},
	named{unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, "SECCOMP_FILTER_FLAG_NEW_LISTENER"},
	named{unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"},
	named{unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"},
)
var keyctlOperations = enum(
	named{unix.KEYCTL_GET_KEYRING_ID, "KEYCTL_GET_KEYRING_ID"},
	named{unix.KEYCTL_JOIN_SESSION_KEYRING, "KEYCTL_JOIN_SESSION_KEYRING"},
	named{unix.KEYCTL_UPDATE, "KEYCTL_UPDATE"},
	named{unix.KEYCTL_REVOKE, "KEYCTL_REVOKE"},
	named{unix.KEYCTL_CHOWN, "KEYCTL_CHOWN"},
	named{unix.KEYCTL_SETPERM, "KEYCTL_SETPERM"},
	named{unix.KEYCTL_DESCRIBE, "KEYCTL_DESCRIBE"},
	named{unix.KEYCTL_CLEAR, "KEYCTL_CLEAR"},
	named{unix.KEYCTL_LINK, "KEYCTL_LINK"},
	named{unix.KEYCTL_UNLINK, "KEYCTL_UNLINK"},
)
var rlimits = enum(
	named{unix.RLIMIT_CPU, "RLIMIT_CPU"},
	named{unix.RLIMIT_FSIZE, "RLIMIT_FSIZE"},
	named{unix.RLIMIT_DATA, "RLIMIT_DATA"},
	named{unix.RLIMIT_STACK, "RLIMIT_STACK"},
	named{unix.RLIMIT_CORE, "RLIMIT_CORE"},
	named{unix.RLIMIT_RSS, "RLIMIT_RSS"},
	named{unix.RLIMIT_NPROC, "RLIMIT_NPROC"},
	named{unix.RLIMIT_NOFILE, "RLIMIT_NOFILE"},
	named{unix.RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK"},
	named{unix.RLIMIT_AS, "RLIMIT_AS"},
	named{unix.RLIMIT_LOCKS, "RLIMIT_LOCKS"},
	named{unix.RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING"},
	named{unix.RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE"},
	named{unix.RLIMIT_NICE, "RLIMIT_NICE"},
	named{unix.RLIMIT_RTPRIO, "RLIMIT_RTPRIO"},
	named{unix.RLIMIT_RTTIME, "RLIMIT_RTTIME"},
)
var personalities = flags(
	named{0x20000, "UNAME26"},
	named{0x40000, "ADDR_NO_RANDOMIZE"},
	named{0x80000, "FDPIC_FUNCPTRS"},
	named{0x100000, "MMAP_PAGE_ZERO"},
	named{0x200000, "ADDR_COMPAT_LAYOUT"},
	named{0x400000, "READ_IMPLIES_EXEC"},
	named{0x800000, "ADDR_LIMIT_32BIT"},
	named{0x1000000, "SHORT_INODE"},
	named{0x2000000, "WHOLE_SECONDS"},
	named{0x4000000, "STICKY_TIMEOUTS"},
	named{0x8000000, "ADDR_LIMIT_3GB"},
)
var domains = enum(
	named{0, "PER_LINUX"},
	named{8, "PER_LINUX32"},
)
var ioprioWho = enum(
	named{1, "IOPRIO_WHO_PROCESS"},
	named{2, "IOPRIO_WHO_PGRP"},
	named{3, "IOPRIO_WHO_USER"},
)

// ioprio shows an I/O priority: its class and its level in the class.
func ioprio(v uint64) string {
	class := enum(named{0, "none"}, named{1, "realtime"}, named{2, "best-effort"}, named{3, "idle"})
	return class(v>>13) + ":" + decimal(v&(1<<13-1))
}

var closeRangeFlags = flags(
	named{unix.CLOSE_RANGE_UNSHARE, "CLOSE_RANGE_UNSHARE"},
	named{unix.CLOSE_RANGE_CLOEXEC, "CLOSE_RANGE_CLOEXEC"},
)
var fcntlCommands = enum(
	named{unix.F_DUPFD, "F_DUPFD"},
	named{unix.F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC"},
	named{unix.F_GETFD, "F_GETFD"},
	named{unix.F_SETFD, "F_SETFD"},
	named{unix.F_GETFL, "F_GETFL"},
	named{unix.F_SETFL, "F_SETFL"},
	named{unix.F_SETPIPE_SZ, "F_SETPIPE_SZ"},
	named{unix.F_ADD_SEALS, "F_ADD_SEALS"},
)
var fdFlags = flags(
	named{unix.FD_CLOEXEC, "FD_CLOEXEC"},
)
var ioctls = enum(
	named{unix.TIOCSCTTY, "TIOCSCTTY"},
	named{unix.TIOCNOTTY, "TIOCNOTTY"},
	named{unix.TIOCSWINSZ, "TIOCSWINSZ"},
	named{unix.TIOCSPTLCK, "TIOCSPTLCK"},
	named{unix.TIOCGPTPEER, "TIOCGPTPEER"},
	named{unix.SIOCGIFFLAGS, "SIOCGIFFLAGS"},
	named{unix.SIOCSIFFLAGS, "SIOCSIFFLAGS"},
)
var messageFlags = flags(
	named{unix.MSG_NOSIGNAL, "MSG_NOSIGNAL"},
	named{unix.MSG_DONTWAIT, "MSG_DONTWAIT"},
	named{unix.MSG_CMSG_CLOEXEC, "MSG_CMSG_CLOEXEC"},
	named{unix.MSG_WAITALL, "MSG_WAITALL"},
	named{unix.MSG_PEEK, "MSG_PEEK"},
	named{unix.MSG_TRUNC, "MSG_TRUNC"},
)
var fileTypes = enum(
	named{unix.S_IFREG, "S_IFREG"},
	named{unix.S_IFDIR, "S_IFDIR"},
	named{unix.S_IFCHR, "S_IFCHR"},
	named{unix.S_IFBLK, "S_IFBLK"},
	named{unix.S_IFIFO, "S_IFIFO"},
	named{unix.S_IFSOCK, "S_IFSOCK"},
	named{unix.S_IFLNK, "S_IFLNK"},
)
