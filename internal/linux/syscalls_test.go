package linux_test

import (
	"testing"

	"github.com/elastic/go-seccomp-bpf/arch"

	"github.com/hull-pods/hull/internal/linux"
)

// TestSyscallNumbers compares each number with another table of them.
func TestSyscallNumbers(t *testing.T) {
	for a, table := range map[linux.Arch]*arch.Info{linux.AMD64: arch.X86_64, linux.ARM64: arch.AARCH64} {
		for _, s := range linux.Syscalls() {
			got, ok := s.Number(a)
			name := s.String()
			if a == linux.ARM64 && s == linux.SysNewfstatat {
				name = "fstatat" // as the other table has it
			}
			want, known := table.SyscallNames[name]
			if !ok || !known || int(got) != want {
				t.Errorf("%s on %s: %d (%v), want %d (%v)", s, a, got, ok, want, known)
			}
		}
	}
}

func TestSyscallThatIsNone(t *testing.T) {
	for _, s := range []linux.Syscall{0, 255} {
		if n, ok := s.Number(linux.AMD64); ok || s.String() != "no such call" {
			t.Errorf("call %d is %d, %s", s, n, s)
		}
	}
	if _, ok := linux.SysRead.Number("riscv64"); ok {
		t.Error("a number for an architecture that is not there")
	}
}
