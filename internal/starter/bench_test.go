package starter_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// trueELF is the smallest program that exits 0, so that a start is measured and not the command.
var trueELF = []byte{
	0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0x3e, 0, 1, 0, 0, 0, 0x78, 0, 0x40, 0, 0, 0, 0, 0,
	0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0x38, 0, 1, 0, 0, 0, 0, 0, 0, 0,
	1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0,
	0x81, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0,
	0x31, 0xff, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05, // exit_group(0)
}

func BenchmarkStart(b *testing.B) {
	for _, command := range []string{"true", "busybox"} {
		b.Run(command, func(b *testing.B) {
			n := newNative(b)
			lower := busyboxRoot(b)
			args := []string{"/bin/true"}
			if command == "true" {
				must(b, os.WriteFile(filepath.Join(lower, "bin/tiny"), trueELF, 0o755))
				args[0] = "/bin/tiny"
			}
			s := spec(b, oci.Config{Args: args})
			dir := b.TempDir()
			for i := range b.N {
				b.StopTimer()
				upper, work := filepath.Join(dir, "u", itoa(i)), filepath.Join(dir, "w", itoa(i))
				must(b, os.MkdirAll(upper, 0o755))
				must(b, os.MkdirAll(work, 0o755))
				root, err := linux.Overlay(linux.OverlayOptions{Lower: []string{lower}, Upper: upper, Work: work, Volatile: true})
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				p, err := n.Start(b.Context(), starter.Request{Key: "bench", Spec: s, Rootfs: root})
				if err != nil {
					b.Fatal(err)
				}
				reap(b, p)
				b.StopTimer()
				_ = root.Close()
				b.StartTimer()
			}
		})
	}
}

func itoa(i int) string {
	return string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676%26))
}

func BenchmarkInfra(b *testing.B) {
	n := newNative(b)
	for b.Loop() {
		p, err := n.Infra(b.Context(), starter.InfraRequest{Key: "bench", Name: "hull-infra bench", Hostname: "bench", NewIPC: true, NewUTS: true})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		must(b, linux.PidfdSignal(p.PIDFD, unix.SIGKILL))
		reap(b, p)
		b.StartTimer()
	}
}

// BenchmarkBare is what the kernel takes for a fork and an execve of the same program, in the same run.
func BenchmarkBare(b *testing.B) {
	file := filepath.Join(b.TempDir(), "tiny")
	must(b, os.WriteFile(file, trueELF, 0o755))
	for b.Loop() {
		p, err := os.StartProcess(file, []string{"tiny"}, &os.ProcAttr{})
		if err != nil {
			b.Fatal(err)
		}
		_, err = p.Wait()
		must(b, err)
	}
}

func BenchmarkExec(b *testing.B) {
	n := newNative(b)
	lower := busyboxRoot(b)
	must(b, os.WriteFile(filepath.Join(lower, "bin/tiny"), trueELF, 0o755))
	s := spec(b, oci.Config{Args: []string{"sleep", "1000"}})
	c := running(b, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(b, lower)})
	process, err := oci.ExecProcess(s, oci.Exec{Args: []string{"/bin/tiny"}})
	must(b, err)
	for b.Loop() {
		p, err := n.Exec(b.Context(), starter.ExecRequest{Key: "e", Container: "c", PID: c.PID, PIDFD: c.PIDFD, Spec: s, Process: process})
		if err != nil {
			b.Fatal(err)
		}
		reapAll(b, p)
	}
}

// BenchmarkCompile is hulld's own part of a start.
func BenchmarkCompile(b *testing.B) {
	n := newNative(b)
	s := spec(b, oci.Config{Args: []string{"true"}})
	b.Run("filter", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := n.Filter(s.Linux.Seccomp); err != nil {
				b.Fatal(err)
			}
		}
	})
	facts := compile.Facts{LastCap: n.LastCap()}
	var err error
	facts.Filter, facts.FilterFlags, err = n.Filter(s.Linux.Seccomp)
	must(b, err)
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			if _, err := compile.Container(s, facts, 9); err != nil {
				b.Fatal(err)
			}
		}
	})
	c, err := compile.Container(s, facts, 9)
	must(b, err)
	b.Run("encode", func(b *testing.B) {
		var e birth.Encoder
		for b.Loop() {
			if _, err := e.Encode(c.Program, linux.Native); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("listing", func(b *testing.B) {
		for b.Loop() {
			_ = c.Program.String()
		}
	})
}
