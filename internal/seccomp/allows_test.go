package seccomp

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/oci"
)

// TestAllows holds it against the tests' own interpreter, over every syscall of the default profile.
func TestAllows(t *testing.T) {
	s, err := oci.New(oci.Config{Args: []string{"x"}})
	if err != nil {
		t.Fatal(err)
	}
	program, _, err := Compile(s.Linux.Seccomp, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	arch := uint32(unix.AUDIT_ARCH_X86_64)
	if runtime.GOARCH == "arm64" {
		arch = unix.AUDIT_ARCH_AARCH64
	}
	yes := 0
	for nr := range uint32(600) {
		for _, arg := range []uint64{0, 1, unix.CLONE_NEWNS, unix.CLONE_PARENT | unix.CLONE_PIDFD, 1<<63 | 8} {
			args := [6]uint64{arg, arg, arg, arg, arg, arg}
			action, _ := run(t, program, data{nr: nr, arch: arch, args: args}.bytes())
			want := action == retAllow || action == retLog
			if got := Allows(program, runtime.GOARCH, Call{Number: nr, Args: args}); got != want {
				t.Errorf("call %d with %#x: %v, want %v", nr, arg, got, want)
			}
			if want {
				yes++
			}
		}
	}
	if yes < 1000 {
		t.Errorf("%d calls are allowed", yes)
	}
	if Allows(nil, runtime.GOARCH, Call{}) {
		t.Error("a program that is none allows")
	}
}
