package birth

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest/golden"
	"github.com/hull-pods/hull/internal/linux"
)

// tools are an assembler, a linker and an objcopy for an architecture.
var tools = map[linux.Arch]struct {
	prefix string
	flags  []string
}{
	linux.AMD64: {prefix: "x86_64-linux-gnu-"},
	linux.ARM64: {prefix: "aarch64-linux-gnu-"},
}

// TestAssembled compares the committed bytes with what the sources assemble to.
func TestAssembled(t *testing.T) {
	for arch, tool := range tools {
		t.Run(string(arch), func(t *testing.T) {
			if _, err := exec.LookPath(tool.prefix + "as"); err != nil {
				missing(t, "no assembler for "+string(arch)+": install binutils-"+strings.ReplaceAll(strings.TrimSuffix(tool.prefix, "-"), "_", "-"))
			}
			dir := t.TempDir()
			object, linked, flat := filepath.Join(dir, "o"), filepath.Join(dir, "elf"), filepath.Join(dir, "bin")
			for _, args := range [][]string{
				{"as", "--fatal-warnings", "-o", object, "init_" + string(arch) + ".S"},
				{"ld", "-Ttext", "0x400000", "-e", "_start", "-o", linked, object},
				{"objcopy", "-O", "binary", "-j", ".text", linked, flat},
			} {
				if out, err := exec.Command(tool.prefix+args[0], args[1:]...).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", args[0], err, out)
				}
			}
			got, err := os.ReadFile(flat)
			if err != nil {
				t.Fatal(err)
			}
			if *golden.Update {
				if err := os.WriteFile("init_"+string(arch)+".bin", got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, initELF(arch)) {
				t.Errorf("init_%s.bin is not what init_%s.S assembles to: run go test -run Assembled -update .", arch, arch)
			}
		})
	}
}

// missing skips for want of a tool, which CI has.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("HULL_TEST_NEED") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func TestSize(t *testing.T) {
	for arch := range tools {
		elf := initELF(arch)
		t.Logf("%s: %d bytes", arch, len(elf))
		if len(elf) == 0 || len(elf) > 2048 {
			t.Errorf("hull-init for %s has %d bytes, want at most 2048", arch, len(elf))
		}
	}
}

// TestEveryInstructionHasAComment also finds lines that are longer than a screen is wide.
func TestEveryInstructionHasAComment(t *testing.T) {
	// What takes no comment: nothing, a comment, a constant with its name, a label, the assembler's own business.
	bare := regexp.MustCompile(`^\s*($|#|//|\.set|\w+:$|\.intel_syntax|\.text|\.globl|\.quad)`)
	for arch, mark := range map[linux.Arch]string{linux.AMD64: "#", linux.ARM64: "//"} {
		source, err := os.ReadFile("init_" + string(arch) + ".S")
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(source), "\n") {
			if !bare.MatchString(line) && !strings.Contains(line, mark) {
				t.Errorf("init_%s.S:%d: no comment: %s", arch, i+1, line)
			}
		}
	}
}
