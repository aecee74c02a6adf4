package birth

import "golang.org/x/sys/unix"

// What calls on files and mounts take. Of names that contain others: O_TMPFILE contains O_DIRECTORY, O_SYNC contains O_DSYNC.
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

// fileMode shows a file's type, if it is given, and its permissions.
func fileMode(v uint64) string {
	if v&unix.S_IFMT == 0 {
		return octal(v)
	}
	return fileTypes(v&unix.S_IFMT) + "|" + octal(v&^unix.S_IFMT)
}
