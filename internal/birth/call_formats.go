package birth

import (
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// callFormats is how the numbers among a call's arguments are shown, where decimal is not it.
func callFormats(s linux.Syscall, args []Arg) []format {
	switch s {
	case linux.SysPrctl:
		return prctlFormats(args)
	case linux.SysFcntl:
		third := format(nil)
		switch constant(args, 1) {
		case unix.F_SETFD:
			third = fdFlags
		case unix.F_SETFL:
			third = openFlags
		}
		return []format{nil, fcntlCommands, third}
	}
	return formatTable[s]
}

// constant is argument i if it is a number, else all ones.
func constant(args []Arg, i int) uint64 {
	if i < len(args) {
		if n, ok := args[i].(number); ok {
			return uint64(n)
		}
	}
	return ^uint64(0)
}

// prctlFormats depend on the option.
func prctlFormats(args []Arg) []format {
	switch constant(args, 0) {
	case unix.PR_CAPBSET_DROP, unix.PR_CAPBSET_READ:
		return []format{prctlOptions, capability}
	case unix.PR_CAP_AMBIENT:
		if constant(args, 1) == unix.PR_CAP_AMBIENT_CLEAR_ALL {
			return []format{prctlOptions, ambientOptions}
		}
		return []format{prctlOptions, ambientOptions, capability}
	case unix.PR_SET_SECUREBITS:
		return []format{prctlOptions, securebits}
	case unix.PR_SET_PDEATHSIG:
		return []format{prctlOptions, signalName}
	}
	return []format{prctlOptions}
}

// formatTable is never written to.
var formatTable = map[linux.Syscall][]format{
	linux.SysClone:           {cloneFlags},
	linux.SysCloseRange:      {nil, id, closeRangeFlags},
	linux.SysDup3:            {nil, nil, openBits},
	linux.SysEventfd2:        {nil, openBits},
	linux.SysExecveat:        {dirFD, nil, nil, nil, atFlags},
	linux.SysFaccessat2:      {dirFD, nil, accessModes, accessFlags},
	linux.SysFchmod:          {nil, octal},
	linux.SysFchmodat:        {dirFD, nil, octal},
	linux.SysFchown:          {nil, id, id},
	linux.SysFchownat:        {dirFD, nil, id, id, atFlags},
	linux.SysFsconfig:        {nil, fsconfigCommands},
	linux.SysFsmount:         {nil, fsmountFlags, mountAttrs},
	linux.SysFsopen:          {nil, fsopenFlags},
	linux.SysFspick:          {dirFD, nil, fspickFlags},
	linux.SysIoctl:           {nil, ioctls},
	linux.SysIoprioSet:       {ioprioWho, nil, ioprio},
	linux.SysKeyctl:          {keyctlOperations},
	linux.SysKill:            {nil, signalName},
	linux.SysLinkat:          {dirFD, nil, dirFD, nil, atFlags},
	linux.SysMkdirat:         {dirFD, nil, octal},
	linux.SysMknodat:         {dirFD, nil, fileMode, device},
	linux.SysMount:           {nil, nil, nil, mountFlags},
	linux.SysMountSetattr:    {dirFD, nil, atFlags},
	linux.SysMoveMount:       {dirFD, nil, dirFD, nil, moveMountFlags},
	linux.SysNewfstatat:      {dirFD, nil, nil, atFlags},
	linux.SysOpenTree:        {dirFD, nil, openTreeFlags},
	linux.SysOpenTreeAttr:    {dirFD, nil, openTreeFlags},
	linux.SysOpenat:          {dirFD, nil, openFlags, octal},
	linux.SysOpenat2:         {dirFD},
	linux.SysPersonality:     {enumFlags(0xff, domains, personalities)},
	linux.SysPidfdSendSignal: {nil, signalName},
	linux.SysPipe2:           {nil, openBits},
	linux.SysPrlimit64:       {nil, rlimits},
	linux.SysReadlinkat:      {dirFD},
	linux.SysRecvmsg:         {nil, nil, messageFlags},
	linux.SysRenameat2:       {dirFD, nil, dirFD, nil, hex},
	linux.SysRtSigaction:     {signalName},
	linux.SysSeccomp:         {seccompOperations, seccompFlags},
	linux.SysSendmsg:         {nil, nil, messageFlags},
	linux.SysSendto:          {nil, nil, nil, messageFlags},
	linux.SysSetns:           {nil, cloneFlags},
	linux.SysSetresgid:       {id, id, id},
	linux.SysSetresuid:       {id, id, id},
	linux.SysSymlinkat:       {nil, dirFD},
	linux.SysUmask:           {octal},
	linux.SysUmount2:         {nil, umountFlags},
	linux.SysUnlinkat:        {dirFD, nil, unlinkFlags},
	linux.SysUnshare:         {cloneFlags},
	linux.SysUtimensat:       {dirFD, nil, nil, atFlags},
	linux.SysPidfdOpen:       {nil, openBits},
	linux.SysMemfdCreate:     {nil, hex},
	linux.SysStatx:           {dirFD, nil, atFlags},
	linux.SysRecvfrom:        {nil, nil, nil, messageFlags},
}
