// Package oci turns plain values into the OCI runtime spec of one container.
//
// It is the only door to the runtime spec's vocabulary: other packages speak of its types by the aliases below. New is
// pure; what a spec takes from the host (devices, capabilities, seccomp files, paths to mask) is read by the functions
// of host.go and handed in.
package oci

import specs "github.com/opencontainers/runtime-spec/specs-go"

// The spec and its parts, by the runtime spec's own names.
type (
	Spec               = specs.Spec
	State              = specs.State
	Root               = specs.Root
	Process            = specs.Process
	User               = specs.User
	Box                = specs.Box
	POSIXRlimit        = specs.POSIXRlimit
	Scheduler          = specs.Scheduler
	LinuxIOPriority    = specs.LinuxIOPriority
	LinuxCapabilities  = specs.LinuxCapabilities
	SpecMount          = specs.Mount
	Hook               = specs.Hook
	Hooks              = specs.Hooks
	Linux              = specs.Linux
	LinuxNamespace     = specs.LinuxNamespace
	LinuxNamespaceType = specs.LinuxNamespaceType
	LinuxIDMapping     = specs.LinuxIDMapping
	LinuxDevice        = specs.LinuxDevice
	LinuxResources     = specs.LinuxResources
	LinuxMemory        = specs.LinuxMemory
	LinuxCPU           = specs.LinuxCPU
	LinuxPids          = specs.LinuxPids
	LinuxBlockIO       = specs.LinuxBlockIO
	LinuxHugepageLimit = specs.LinuxHugepageLimit
	LinuxDeviceCgroup  = specs.LinuxDeviceCgroup
	LinuxPersonality   = specs.LinuxPersonality
	LinuxTimeOffset    = specs.LinuxTimeOffset

	LinuxSeccomp         = specs.LinuxSeccomp
	LinuxSyscall         = specs.LinuxSyscall
	LinuxSeccompArg      = specs.LinuxSeccompArg
	LinuxSeccompAction   = specs.LinuxSeccompAction
	LinuxSeccompOperator = specs.LinuxSeccompOperator
	LinuxSeccompFlag     = specs.LinuxSeccompFlag
	Arch                 = specs.Arch
)

// Namespace types.
const (
	PIDNamespace     = specs.PIDNamespace
	NetworkNamespace = specs.NetworkNamespace
	MountNamespace   = specs.MountNamespace
	IPCNamespace     = specs.IPCNamespace
	UTSNamespace     = specs.UTSNamespace
	UserNamespace    = specs.UserNamespace
	CgroupNamespace  = specs.CgroupNamespace
	TimeNamespace    = specs.TimeNamespace
)

// Container states, as hooks are told them.
const (
	StateCreating = specs.StateCreating
	StateCreated  = specs.StateCreated
	StateRunning  = specs.StateRunning
	StateStopped  = specs.StateStopped
)

// Seccomp's actions.
const (
	ActKill        = specs.ActKill
	ActKillProcess = specs.ActKillProcess
	ActKillThread  = specs.ActKillThread
	ActTrap        = specs.ActTrap
	ActErrno       = specs.ActErrno
	ActTrace       = specs.ActTrace
	ActAllow       = specs.ActAllow
	ActLog         = specs.ActLog
	ActNotify      = specs.ActNotify
)

// Seccomp's comparisons of an argument.
const (
	OpNotEqual     = specs.OpNotEqual
	OpLessThan     = specs.OpLessThan
	OpLessEqual    = specs.OpLessEqual
	OpEqualTo      = specs.OpEqualTo
	OpGreaterEqual = specs.OpGreaterEqual
	OpGreaterThan  = specs.OpGreaterThan
	OpMaskedEqual  = specs.OpMaskedEqual
)

// Seccomp's flags. The runtime spec does not name TSYNC, but runc takes it.
const (
	SeccompFlagLog              = specs.LinuxSeccompFlagLog
	SeccompFlagSpecAllow        = specs.LinuxSeccompFlagSpecAllow
	SeccompFlagWaitKillableRecv = specs.LinuxSeccompFlagWaitKillableRecv

	SeccompFlagTSync LinuxSeccompFlag = "SECCOMP_FILTER_FLAG_TSYNC"
)

// Seccomp's architectures that Hull compiles for.
const (
	ArchX86_64  = specs.ArchX86_64
	ArchX86     = specs.ArchX86
	ArchX32     = specs.ArchX32
	ArchARM     = specs.ArchARM
	ArchAARCH64 = specs.ArchAARCH64
)
