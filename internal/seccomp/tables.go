package seccomp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/elastic/go-seccomp-bpf/arch"

	"github.com/hull-pods/hull/internal/oci"
)

// x32Bit marks a syscall of the x32 ABI; the kernel reports it under x86_64's architecture.
const x32Bit = 0x40000000

// abi is one table of syscall numbers.
type abi struct {
	name    oci.Arch
	wide    bool              // arguments have 64 bits; of the others only the lower 32 are compared, as libseccomp does
	numbers map[string]uint32 // x32's with its bit
	muxed   map[string]mux    // syscalls that are reached through another one, too
}

// mux is the syscall that stands for many, and the value of its first argument for the one in question.
type mux struct {
	number, call uint32
}

// machineArch is one architecture as the kernel tells it to a filter, with the ABIs that are asked for.
type machineArch struct {
	audit uint32
	abis  []*abi // x86_64's may have x32 beside it
}

// The kernel's numbers of the architectures.
const (
	auditX86_64  = 0xc000003e
	auditX86     = 0x40000003
	auditAARCH64 = 0xc00000b7
	auditARM     = 0x40000028
)

// abisOf resolves a profile's architectures on a machine. Its native one is always in, as in libseccomp.
func abisOf(goarch string, names []oci.Arch) ([]machineArch, error) {
	for _, name := range names {
		if !slices.Contains(knownArches, name) {
			return nil, fmt.Errorf("seccomp: unknown architecture %q", name)
		}
	}
	asked := func(name oci.Arch) bool { return slices.Contains(names, name) }
	t := tables()
	switch goarch {
	case "amd64":
		native := machineArch{auditX86_64, []*abi{t[oci.ArchX86_64]}}
		if asked(oci.ArchX32) {
			native.abis = append(native.abis, t[oci.ArchX32])
		}
		if asked(oci.ArchX86) {
			return []machineArch{native, {auditX86, []*abi{t[oci.ArchX86]}}}, nil
		}
		return []machineArch{native}, nil
	case "arm64":
		native := machineArch{auditAARCH64, []*abi{t[oci.ArchAARCH64]}}
		if asked(oci.ArchARM) {
			return []machineArch{native, {auditARM, []*abi{t[oci.ArchARM]}}}, nil
		}
		return []machineArch{native}, nil
	}
	return nil, fmt.Errorf("seccomp: no syscall table for %s", goarch)
}

// knownArches are the runtime spec's.
var knownArches = []oci.Arch{
	oci.ArchX86_64, oci.ArchX86, oci.ArchX32, oci.ArchARM, oci.ArchAARCH64, "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64",
	"SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC", "SCMP_ARCH_PPC64",
	"SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390", "SCMP_ARCH_S390X", "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64",
	"SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB",
}

// tables are made at first use; they never change after.
var tables = sync.OnceValue(func() map[oci.Arch]*abi {
	x86 := withNewer(arch.I386.SyscallNumbers)
	return map[oci.Arch]*abi{
		oci.ArchX86_64:  {name: oci.ArchX86_64, wide: true, numbers: withNewer(arch.X86_64.SyscallNumbers)},
		oci.ArchX32:     {name: oci.ArchX32, numbers: x32Numbers()},
		oci.ArchX86:     {name: oci.ArchX86, numbers: x86, muxed: x86Muxed(x86)},
		oci.ArchAARCH64: {name: oci.ArchAARCH64, wide: true, numbers: aarch64Numbers()},
		oci.ArchARM:     {name: oci.ArchARM, numbers: withNewer(arch.ARM.SyscallNumbers)},
	}
})

// newer are syscalls that the library's tables lack; since Linux 5.1 a new one has the same number everywhere.
var newer = map[string]uint32{
	"file_getattr": 468, "file_setattr": 469, // 6.17
	"listns": 470, // 6.19
}

// withNewer inverts one of the library's tables. Its own inverse is not to be used: where a name has two numbers, as on
// x32, it keeps either one at random. Here the higher one wins.
func withNewer(names map[int]string) map[string]uint32 {
	numbers := maps.Clone(newer)
	for number, name := range names {
		numbers[name] = max(numbers[name], uint32(number))
	}
	return numbers
}

// x32Only64 are the names in the library's x32 table that only x86_64 has.
var x32Only64 = []string{
	"_sysctl", "create_module", "epoll_ctl_old", "epoll_wait_old", "get_kernel_syms", "get_thread_area", "map_shadow_stack",
	"nfsservctl", "query_module", "set_thread_area", "uretprobe", "uselib", "vserver",
}

func x32Numbers() map[string]uint32 {
	numbers := withNewer(arch.X32.SyscallNumbers)
	for _, name := range x32Only64 {
		delete(numbers, name)
	}
	for name := range numbers {
		numbers[name] |= x32Bit
	}
	return numbers
}

// aarch64Numbers leaves out what the library's table takes from the generic list and 64-bit machines do not have: the
// variants with 64-bit time, and a placeholder.
func aarch64Numbers() map[string]uint32 {
	numbers := withNewer(arch.AARCH64.SyscallNumbers)
	for name, number := range numbers {
		if number >= 403 && number <= 423 && strings.HasSuffix(name, "64") {
			delete(numbers, name)
		}
	}
	delete(numbers, "arch_specific_syscall")
	delete(numbers, "fstatat")
	numbers["newfstatat"] = 79
	return numbers
}

// socketCalls and ipcCalls are the numbers of what socketcall(2) and ipc(2) stand for on x86.
var (
	socketCalls = map[string]uint32{
		"socket": 1, "bind": 2, "connect": 3, "listen": 4, "accept": 5, "getsockname": 6, "getpeername": 7, "socketpair": 8, "send": 9,
		"recv": 10, "sendto": 11, "recvfrom": 12, "shutdown": 13, "setsockopt": 14, "getsockopt": 15, "sendmsg": 16, "recvmsg": 17,
		"accept4": 18, "recvmmsg": 19, "sendmmsg": 20,
	}
	ipcCalls = map[string]uint32{
		"semop": 1, "semget": 2, "semctl": 3, "semtimedop": 4, "msgsnd": 11, "msgrcv": 12, "msgget": 13, "msgctl": 14,
		"shmat": 21, "shmdt": 22, "shmget": 23, "shmctl": 24,
	}
)

func x86Muxed(numbers map[string]uint32) map[string]mux {
	muxed := map[string]mux{}
	for name, call := range socketCalls {
		muxed[name] = mux{numbers["socketcall"], call}
	}
	for name, call := range ipcCalls {
		muxed[name] = mux{numbers["ipc"], call}
	}
	return muxed
}
