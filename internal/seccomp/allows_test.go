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

// TestExcept lets exactly what it is told through beside what the program does.
func TestExcept(t *testing.T) {
	const nr, flags = 56, unix.CLONE_PARENT | unix.CLONE_PIDFD
	denied := []unix.SockFilter{{Code: opReturn, K: unix.SECCOMP_RET_ERRNO | 1}}
	program := Except(denied, runtime.GOARCH, []Call{{Number: 7}, {Number: nr, Args: [6]uint64{flags, 0, 1 << 40}}, {Number: 8, Args: [6]uint64{3}}})
	for _, c := range []struct {
		call Call
		want bool
	}{
		{Call{Number: 7}, true},
		{Call{Number: 7, Args: [6]uint64{1, 2, 3, 4, 5, 6}}, true},
		{Call{Number: nr, Args: [6]uint64{flags, 99, 1 << 40}}, true},
		{Call{Number: nr, Args: [6]uint64{flags | 1, 99, 1 << 40}}, false},
		{Call{Number: nr, Args: [6]uint64{flags | 1<<32, 99, 1 << 40}}, false},
		{Call{Number: nr, Args: [6]uint64{flags, 99}}, false},
		{Call{Number: 8, Args: [6]uint64{3}}, true},
		{Call{Number: 8}, false},
		{Call{Number: 9}, false},
	} {
		if got := Allows(program, runtime.GOARCH, c.call); got != c.want {
			t.Errorf("%+v: %t", c.call, got)
		}
	}
	// A program of another architecture has other numbers.
	if action, _ := run(t, program, data{nr: 7, arch: unix.AUDIT_ARCH_I386}.bytes()); action == retAllow {
		t.Error("a call of another architecture is let through")
	}
}
