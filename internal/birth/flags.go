package birth

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// format is how the listing shows a number of one kind.
type format func(uint64) string

// named is a constant of the kernel's and what its manual pages call it.
type named struct {
	value uint64
	name  string
}

func decimal(v uint64) string { return strconv.FormatInt(int64(v), 10) }

func signed32(v uint64) string { return strconv.Itoa(int(int32(v))) }

func hex(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }

func octal(v uint64) string {
	if v == 0 {
		return "0"
	}
	return "0" + strconv.FormatUint(v, 8)
}

// flags shows a set of bits; those without a name remain a number. A name of several bits stands before names of its parts.
func flags(names ...named) format {
	return func(v uint64) string {
		var parts []string
		for _, n := range names {
			if n.value != 0 && v&n.value == n.value {
				parts = append(parts, n.name)
				v &^= n.value
			}
		}
		if v != 0 || len(parts) == 0 {
			parts = append(parts, octalOrHex(v))
		}
		return strings.Join(parts, "|")
	}
}

func octalOrHex(v uint64) string {
	if v == 0 {
		return "0"
	}
	return hex(v)
}

// enum shows one of several values, whichever width they were given in.
func enum(names ...named) format {
	return func(v uint64) string {
		for _, n := range names {
			if n.value == v || n.value == uint64(uint32(v)) {
				return n.name
			}
		}
		return decimal(v)
	}
}

// enumFlags shows a value out of the names in the low bits, and flags above it.
func enumFlags(low uint64, value, above format) format {
	return func(v uint64) string {
		s := value(v & low)
		if v&^low != 0 {
			s += "|" + above(v&^low)
		}
		return s
	}
}

func dirFD(v uint64) string {
	if int32(v) == unix.AT_FDCWD {
		return "AT_FDCWD"
	}
	return signed32(v)
}

// id shows a user or group, where all ones means that it stays as it is.
func id(v uint64) string {
	if uint32(v) == 1<<32-1 {
		return "-1"
	}
	return strconv.FormatUint(uint64(uint32(v)), 10)
}

func device(v uint64) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%d:%d", unix.Major(v), unix.Minor(v))
}

func signalName(v uint64) string {
	if name := unix.SignalName(unix.Signal(v)); name != "" {
		return name
	}
	return decimal(v)
}

func limit(v uint64) string {
	if v == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(v, 10)
}

// capSet shows a set of capabilities by name, and the full set in one word.
func capSet(v uint64) string {
	switch {
	case v == 0:
		return "none"
	case v == 1<<(unix.CAP_LAST_CAP+1)-1:
		return "all"
	}
	var parts []string
	for c := range uint64(64) {
		if v>>c&1 != 0 {
			parts = append(parts, capability(c))
		}
	}
	return strings.Join(parts, "|")
}

// Flags of the calls, by what takes them. O_TMPFILE contains O_DIRECTORY, O_SYNC contains O_DSYNC.
var openBits = flags(
	named{unix.O_TMPFILE, "O_TMPFILE"},
	named{unix.O_DIRECTORY, "O_DIRECTORY"},
	named{unix.O_SYNC, "O_SYNC"},
	named{unix.O_DSYNC, "O_DSYNC"},
	named{unix.O_WRONLY, "O_WRONLY"},
	named{unix.O_RDWR, "O_RDWR"},
	named{unix.O_CREAT, "O_CREAT"},
	named{unix.O_EXCL, "O_EXCL"},
	named{unix.O_NOCTTY, "O_NOCTTY"},
	named{unix.O_TRUNC, "O_TRUNC"},
	named{unix.O_APPEND, "O_APPEND"},
	named{unix.O_NONBLOCK, "O_NONBLOCK"},
	named{unix.O_NOFOLLOW, "O_NOFOLLOW"},
	named{unix.O_CLOEXEC, "O_CLOEXEC"},
	named{unix.O_PATH, "O_PATH"},
	named{unix.O_NOATIME, "O_NOATIME"},
	named{unix.O_DIRECT, "O_DIRECT"},
	named{unix.O_LARGEFILE, "O_LARGEFILE"},
)

// openFlags names O_RDONLY too, which has no bit.
func openFlags(v uint64) string {
	if s := openBits(v); v&(unix.O_WRONLY|unix.O_RDWR|unix.O_PATH) != 0 {
		return s
	} else if v == 0 {
		return "O_RDONLY"
	} else {
		return "O_RDONLY|" + s
	}
}

var resolveFlags = flags(
	named{unix.RESOLVE_NO_XDEV, "RESOLVE_NO_XDEV"},
	named{unix.RESOLVE_NO_MAGICLINKS, "RESOLVE_NO_MAGICLINKS"},
	named{unix.RESOLVE_NO_SYMLINKS, "RESOLVE_NO_SYMLINKS"},
	named{unix.RESOLVE_BENEATH, "RESOLVE_BENEATH"},
	named{unix.RESOLVE_IN_ROOT, "RESOLVE_IN_ROOT"},
	named{0x20, "RESOLVE_CACHED"},
)
var atFlags = flags(
	named{unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
	named{unix.AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"},
	named{unix.AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT"},
	named{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"},
	named{unix.AT_RECURSIVE, "AT_RECURSIVE"},
)
var unlinkFlags = flags(
	named{unix.AT_REMOVEDIR, "AT_REMOVEDIR"},
)
var accessFlags = flags(
	named{unix.AT_EACCESS, "AT_EACCESS"},
	named{unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
	named{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"},
)
var accessModes = flags(
	named{4, "R_OK"},
	named{2, "W_OK"},
	named{1, "X_OK"},
)
var openTreeFlags = flags(
	named{unix.OPEN_TREE_CLONE, "OPEN_TREE_CLONE"},
	named{unix.O_CLOEXEC, "OPEN_TREE_CLOEXEC"},
	named{unix.AT_EMPTY_PATH, "AT_EMPTY_PATH"},
	named{unix.AT_NO_AUTOMOUNT, "AT_NO_AUTOMOUNT"},
	named{unix.AT_RECURSIVE, "AT_RECURSIVE"},
	named{unix.AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
)
var mountAttrs = flags(
	named{unix.MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"},
	named{unix.MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"},
	named{unix.MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"},
	named{unix.MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"},
	named{unix.MOUNT_ATTR__ATIME, "MOUNT_ATTR__ATIME"},
	named{unix.MOUNT_ATTR_NOATIME, "MOUNT_ATTR_NOATIME"},
	named{unix.MOUNT_ATTR_STRICTATIME, "MOUNT_ATTR_STRICTATIME"},
	named{unix.MOUNT_ATTR_NODIRATIME, "MOUNT_ATTR_NODIRATIME"},
	named{unix.MOUNT_ATTR_IDMAP, "MOUNT_ATTR_IDMAP"},
	named{unix.MOUNT_ATTR_NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"},
)
var mountFlags = flags(
	named{unix.MS_RDONLY, "MS_RDONLY"},
	named{unix.MS_NOSUID, "MS_NOSUID"},
	named{unix.MS_NODEV, "MS_NODEV"},
	named{unix.MS_NOEXEC, "MS_NOEXEC"},
	named{unix.MS_SYNCHRONOUS, "MS_SYNCHRONOUS"},
	named{unix.MS_REMOUNT, "MS_REMOUNT"},
	named{unix.MS_MANDLOCK, "MS_MANDLOCK"},
	named{unix.MS_DIRSYNC, "MS_DIRSYNC"},
	named{unix.MS_NOSYMFOLLOW, "MS_NOSYMFOLLOW"},
	named{unix.MS_NOATIME, "MS_NOATIME"},
	named{unix.MS_NODIRATIME, "MS_NODIRATIME"},
	named{unix.MS_BIND, "MS_BIND"},
	named{unix.MS_MOVE, "MS_MOVE"},
	named{unix.MS_REC, "MS_REC"},
	named{unix.MS_SILENT, "MS_SILENT"},
	named{unix.MS_POSIXACL, "MS_POSIXACL"},
	named{unix.MS_UNBINDABLE, "MS_UNBINDABLE"},
	named{unix.MS_PRIVATE, "MS_PRIVATE"},
	named{unix.MS_SLAVE, "MS_SLAVE"},
	named{unix.MS_SHARED, "MS_SHARED"},
	named{unix.MS_RELATIME, "MS_RELATIME"},
	named{unix.MS_STRICTATIME, "MS_STRICTATIME"},
	named{unix.MS_LAZYTIME, "MS_LAZYTIME"},
)
var moveMountFlags = flags(
	named{unix.MOVE_MOUNT_F_SYMLINKS, "MOVE_MOUNT_F_SYMLINKS"},
	named{unix.MOVE_MOUNT_F_AUTOMOUNTS, "MOVE_MOUNT_F_AUTOMOUNTS"},
	named{unix.MOVE_MOUNT_F_EMPTY_PATH, "MOVE_MOUNT_F_EMPTY_PATH"},
	named{unix.MOVE_MOUNT_T_SYMLINKS, "MOVE_MOUNT_T_SYMLINKS"},
	named{unix.MOVE_MOUNT_T_AUTOMOUNTS, "MOVE_MOUNT_T_AUTOMOUNTS"},
	named{unix.MOVE_MOUNT_T_EMPTY_PATH, "MOVE_MOUNT_T_EMPTY_PATH"},
	named{unix.MOVE_MOUNT_SET_GROUP, "MOVE_MOUNT_SET_GROUP"},
	named{0x200, "MOVE_MOUNT_BENEATH"},
)
var fsopenFlags = flags(
	named{unix.FSOPEN_CLOEXEC, "FSOPEN_CLOEXEC"},
)
var fsmountFlags = flags(
	named{unix.FSMOUNT_CLOEXEC, "FSMOUNT_CLOEXEC"},
)
var fspickFlags = flags(
	named{unix.FSPICK_CLOEXEC, "FSPICK_CLOEXEC"},
	named{unix.FSPICK_SYMLINK_NOFOLLOW, "FSPICK_SYMLINK_NOFOLLOW"},
	named{unix.FSPICK_NO_AUTOMOUNT, "FSPICK_NO_AUTOMOUNT"},
	named{unix.FSPICK_EMPTY_PATH, "FSPICK_EMPTY_PATH"},
)
var fsconfigCommands = enum(
	named{unix.FSCONFIG_SET_FLAG, "FSCONFIG_SET_FLAG"},
	named{unix.FSCONFIG_SET_STRING, "FSCONFIG_SET_STRING"},
	named{unix.FSCONFIG_SET_BINARY, "FSCONFIG_SET_BINARY"},
	named{unix.FSCONFIG_SET_PATH, "FSCONFIG_SET_PATH"},
	named{unix.FSCONFIG_SET_PATH_EMPTY, "FSCONFIG_SET_PATH_EMPTY"},
	named{unix.FSCONFIG_SET_FD, "FSCONFIG_SET_FD"},
	named{unix.FSCONFIG_CMD_CREATE, "FSCONFIG_CMD_CREATE"},
	named{unix.FSCONFIG_CMD_RECONFIGURE, "FSCONFIG_CMD_RECONFIGURE"},
	named{8, "FSCONFIG_CMD_CREATE_EXCL"},
)
var umountFlags = flags(
	named{unix.MNT_FORCE, "MNT_FORCE"},
	named{unix.MNT_DETACH, "MNT_DETACH"},
	named{unix.MNT_EXPIRE, "MNT_EXPIRE"},
	named{unix.UMOUNT_NOFOLLOW, "UMOUNT_NOFOLLOW"},
)
var cloneFlags = flags(
	named{unix.CLONE_VM, "CLONE_VM"},
	named{unix.CLONE_FS, "CLONE_FS"},
	named{unix.CLONE_FILES, "CLONE_FILES"},
	named{unix.CLONE_SIGHAND, "CLONE_SIGHAND"},
	named{unix.CLONE_PIDFD, "CLONE_PIDFD"},
	named{unix.CLONE_PTRACE, "CLONE_PTRACE"},
	named{unix.CLONE_VFORK, "CLONE_VFORK"},
	named{unix.CLONE_PARENT, "CLONE_PARENT"},
	named{unix.CLONE_THREAD, "CLONE_THREAD"},
	named{unix.CLONE_NEWNS, "CLONE_NEWNS"},
	named{unix.CLONE_SYSVSEM, "CLONE_SYSVSEM"},
	named{unix.CLONE_SETTLS, "CLONE_SETTLS"},
	named{unix.CLONE_PARENT_SETTID, "CLONE_PARENT_SETTID"},
	named{unix.CLONE_CHILD_CLEARTID, "CLONE_CHILD_CLEARTID"},
	named{unix.CLONE_UNTRACED, "CLONE_UNTRACED"},
	named{unix.CLONE_CHILD_SETTID, "CLONE_CHILD_SETTID"},
	named{unix.CLONE_NEWCGROUP, "CLONE_NEWCGROUP"},
	named{unix.CLONE_NEWUTS, "CLONE_NEWUTS"},
	named{unix.CLONE_NEWIPC, "CLONE_NEWIPC"},
	named{unix.CLONE_NEWUSER, "CLONE_NEWUSER"},
	named{unix.CLONE_NEWPID, "CLONE_NEWPID"},
	named{unix.CLONE_NEWNET, "CLONE_NEWNET"},
	named{unix.CLONE_IO, "CLONE_IO"},
	named{unix.CLONE_CLEAR_SIGHAND, "CLONE_CLEAR_SIGHAND"},
	named{unix.CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP"},
	named{unix.CLONE_NEWTIME, "CLONE_NEWTIME"},
)

// capability names one capability by its number.
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

var schedPolicy = enum(
	named{unix.SCHED_NORMAL, "SCHED_OTHER"},
	named{unix.SCHED_FIFO, "SCHED_FIFO"},
	named{unix.SCHED_RR, "SCHED_RR"},
	named{unix.SCHED_BATCH, "SCHED_BATCH"},
	named{unix.SCHED_IDLE, "SCHED_IDLE"},
	named{unix.SCHED_DEADLINE, "SCHED_DEADLINE"},
	named{unix.SCHED_EXT, "SCHED_EXT"},
)
var schedFlags = flags(
	named{unix.SCHED_FLAG_RESET_ON_FORK, "SCHED_FLAG_RESET_ON_FORK"},
	named{unix.SCHED_FLAG_RECLAIM, "SCHED_FLAG_RECLAIM"},
	named{unix.SCHED_FLAG_DL_OVERRUN, "SCHED_FLAG_DL_OVERRUN"},
	named{unix.SCHED_FLAG_KEEP_POLICY, "SCHED_FLAG_KEEP_POLICY"},
	named{unix.SCHED_FLAG_KEEP_PARAMS, "SCHED_FLAG_KEEP_PARAMS"},
	named{unix.SCHED_FLAG_UTIL_CLAMP_MIN, "SCHED_FLAG_UTIL_CLAMP_MIN"},
	named{unix.SCHED_FLAG_UTIL_CLAMP_MAX, "SCHED_FLAG_UTIL_CLAMP_MAX"},
)
var memPolicies = enum(
	named{unix.MPOL_DEFAULT, "MPOL_DEFAULT"},
	named{unix.MPOL_PREFERRED, "MPOL_PREFERRED"},
	named{unix.MPOL_BIND, "MPOL_BIND"},
	named{unix.MPOL_INTERLEAVE, "MPOL_INTERLEAVE"},
	named{unix.MPOL_LOCAL, "MPOL_LOCAL"},
	named{unix.MPOL_PREFERRED_MANY, "MPOL_PREFERRED_MANY"},
	named{unix.MPOL_WEIGHTED_INTERLEAVE, "MPOL_WEIGHTED_INTERLEAVE"},
)
var memPolicyFlags = flags(
	named{unix.MPOL_F_NUMA_BALANCING, "MPOL_F_NUMA_BALANCING"},
	named{unix.MPOL_F_RELATIVE_NODES, "MPOL_F_RELATIVE_NODES"},
	named{unix.MPOL_F_STATIC_NODES, "MPOL_F_STATIC_NODES"},
)
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

// fileMode shows a file's type, if it is given, and its permissions.
func fileMode(v uint64) string {
	if v&unix.S_IFMT == 0 {
		return octal(v)
	}
	return fileTypes(v&unix.S_IFMT) + "|" + octal(v&^unix.S_IFMT)
}
