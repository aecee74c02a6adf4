package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hull-pods/hull/internal/hulltest"
)

var update = flag.Bool("update", false, "renew the committed bytes of sleep")

// binutils are the prefixes of an assembler and an objcopy for each architecture.
var binutils = map[string]string{"amd64": "x86_64-linux-gnu-", "arm64": "aarch64-linux-gnu-"}

// TestAssembled compares the committed bytes with what the sources assemble to.
func TestAssembled(t *testing.T) {
	for arch, prefix := range binutils {
		if _, err := exec.LookPath(prefix + "as"); err != nil {
			if os.Getenv("HULL_TEST_NEED") != "" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
		object, flat := filepath.Join(t.TempDir(), "o"), filepath.Join(t.TempDir(), "bin")
		for _, args := range [][]string{
			{"as", "--fatal-warnings", "-o", object, "sleep_" + arch + ".S"},
			{"objcopy", "-O", "binary", "-j", ".text", object, flat},
		} {
			if out, err := exec.Command(prefix+args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", args[0], err, out)
			}
		}
		committed := "sleep_" + arch + ".bin"
		if *update {
			if err := os.WriteFile(committed, read(t, flat), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if !bytes.Equal(read(t, flat), read(t, committed)) {
			t.Errorf("%s is not what its source assembles to: run go test -run Assembled -update .", committed)
		}
	}
}

func TestEveryInstructionHasAComment(t *testing.T) {
	bare := regexp.MustCompile(`^\s*($|#|//|\.set|\w+:$|\.intel_syntax|\.text|\.globl)`)
	for arch, mark := range map[string]string{"amd64": "#", "arm64": "//"} {
		for i, line := range strings.Split(string(read(t, "sleep_"+arch+".S")), "\n") {
			if !bare.MatchString(line) && !strings.Contains(line, mark) {
				t.Errorf("sleep_%s.S:%d: no comment: %s", arch, i+1, line)
			}
		}
	}
}

// onEach writes a tiny program of each architecture, and calls fn with what runs it: itself, or an emulator before it.
func onEach(t *testing.T, name string, fn func(t *testing.T, argv []string)) {
	t.Helper()
	for arch, emulator := range map[string]string{"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"} {
		t.Run(arch, func(t *testing.T) {
			b, _ := tiny(name, arch)
			argv := []string{filepath.Join(t.TempDir(), name)}
			if err := os.WriteFile(argv[0], b, 0o755); err != nil {
				t.Fatal(err)
			}
			if arch != runtime.GOARCH {
				path, err := exec.LookPath(emulator)
				if err != nil {
					t.Skip(err)
				}
				argv = append([]string{path}, argv...)
			}
			fn(t, argv)
		})
	}
}

// exitCode runs a command to its end; a signal counts as a shell counts it.
func exitCode(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	t.Fatal(err)
	return -1
}

// TestTiny runs the programs of one system call, those of another architecture under qemu where that is installed.
func TestTiny(t *testing.T) {
	for name, want := range map[string]int{"true": 0, "false": 1} {
		onEach(t, name, func(t *testing.T, argv []string) {
			if code := exitCode(t, exec.Command(argv[0], argv[1:]...)); code != want {
				t.Errorf("%s exits with %d", name, code)
			}
		})
	}
}

// TestSleep: strace would tell the same; here the sleep is as long as what it slept at least, and mistakes are handed on to
// /bin/toolbox, which a test's machine has not.
func TestSleep(t *testing.T) {
	const passedOn = 127
	onEach(t, "sleep", func(t *testing.T, argv []string) {
		for args, want := range map[string]time.Duration{
			"0": 0, "0s": 0, "0.0": 0, ".05": 50 * time.Millisecond, "0.012345678912345": 12345678, "0.01 0.02s 0.03": 60 * time.Millisecond,
			"0.0005m": 30 * time.Millisecond, "0.00001h": 36 * time.Millisecond, "0.0000005d": 43200 * time.Microsecond, "1.": time.Second,
			"": -1, "x": -1, "1x": -1, "1sm": -1, "-1": -1, ".": -1, "s": -1, "1.2.3": -1, "infinite": -1, "infinityx": -1, "in": -1, "i": -1,
			"1e3": -1, "1234567890": -1, "0 --help": -1, "\x00": -1,
		} {
			if args == "\x00" {
				args = "" // an argument that is empty is another thing than none
			}
			begin := time.Now()
			code := exitCode(t, exec.Command(argv[0], append(argv[1:], strings.Fields(args)...)...))
			if took := time.Since(begin); want >= 0 && (code != 0 || took < want) || want < 0 && code != passedOn {
				t.Errorf("sleep %s: code %d after %v", args, code, took)
			}
		}
		if code := exitCode(t, exec.Command(argv[0], append(argv[1:], "")...)); code != passedOn {
			t.Errorf("sleep '': code %d", code)
		}
	})
}

// TestSleepIsEndedBySignals: as a process like others it is killed; as process 1 it exits.
func TestSleepIsEndedBySignals(t *testing.T) {
	hulltest.NeedRoot(t)
	b, ok := tiny("sleep", runtime.GOARCH)
	if !ok {
		t.Skip("no tiny sleep for this architecture")
	}
	// Who runs the tests in the background may have them ignore some, which children inherit unless they are handled here.
	handled := make(chan os.Signal, 1)
	signal.Notify(handled, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(handled)
	path := filepath.Join(t.TempDir(), "sleep")
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"infinity", "inf", "1d", "999999999d inf 0.5 infinity"} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
			for _, first := range []bool{false, true} {
				cmd := exec.Command(path, strings.Fields(args)...)
				if first {
					cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				if first {
					handles(t, cmd.Process.Pid, syscall.SIGQUIT) // the last one
				}
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait() // its state is looked at
				ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
				if first && ws.ExitStatus() != 128+int(sig) || !first && (!ws.Signaled() || ws.Signal() != sig) {
					t.Errorf("sleep %s, process 1 %v, %v: %v", args, first, sig, cmd.ProcessState)
				}
			}
		}
	}
}

// handles returns when a process handles a signal.
func handles(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	for {
		for _, line := range strings.Split(string(read(t, fmt.Sprintf("/proc/%d/status", pid))), "\n") {
			if set, ok := strings.CutPrefix(line, "SigCgt:\t"); ok {
				if mask, err := strconv.ParseUint(set, 16, 64); err == nil && mask&(1<<(sig-1)) != 0 {
					return
				}
			}
		}
	}
}
