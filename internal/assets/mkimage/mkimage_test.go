package main

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/hull-pods/hull/internal/assets"
	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/image"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestImage makes the image twice, loads it as Hull does, and runs commands in its root.
func TestImage(t *testing.T) {
	hulltest.NeedRoot(t)
	one, two := filepath.Join(t.TempDir(), "toolbox.tar"), filepath.Join(t.TempDir(), "toolbox.tar")
	for _, out := range []string{one, two} {
		if err := run(out, runtime.GOARCH); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(read(t, one), read(t, two)) {
		t.Error("made twice, the archives differ")
	}
	digest := strings.TrimSpace(string(read(t, strings.TrimSuffix(one, ".tar")+".digest")))

	s, err := image.Open(t.Context(), image.Config{Root: filepath.Join(t.TempDir(), "images"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	img, err := s.Builtin(t.Context(), assets.ToolboxName, digest, func() (io.ReadCloser, error) { return os.Open(one) })
	if err != nil {
		t.Fatal(err)
	}
	if img.Names[0] != assets.ToolboxName || !strings.HasSuffix(img.Digests[0], digest) || img.Platform != "linux/"+runtime.GOARCH {
		t.Errorf("loaded %+v", img)
	}
	if pulled, err := s.Pull(t.Context(), assets.ToolboxName, image.PullOptions{}); err != nil || pulled.ID != img.ID {
		t.Errorf("pull: %v, %v", pulled, err)
	}
	dirs, err := s.Layers(t.Context(), img.ID, "test")
	if err != nil {
		t.Fatal(err)
	}
	for script, want := range map[string]string{
		"/bin/true && ! /bin/false && echo ok": "ok\n",
		"id; stat -c '%a %U' /tmp /root":       "uid=0(root) gid=0(root) groups=0(root)\n1777 root\n700 root\n",
		"which sh ls httpd wget":               "/usr/bin/sh\n/usr/bin/ls\n/usr/bin/httpd\n/usr/bin/wget\n",
	} {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dirs[0]}
		cmd.Env, cmd.Dir = img.Config.Env, "/"
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("%s: %q, %v", script, out, err)
		}
	}
}

// TestTiny runs the programs of one system call, those of another architecture under qemu where that is installed.
func TestTiny(t *testing.T) {
	for arch, emulator := range map[string]string{"amd64": "qemu-x86_64-static", "arm64": "qemu-aarch64-static"} {
		var with []string
		if arch != runtime.GOARCH {
			path, err := exec.LookPath(emulator)
			if err != nil {
				t.Logf("no %s: the programs for %s are not run", emulator, arch)
				continue
			}
			with = []string{path}
		}
		for name, want := range map[string]int{"true": 0, "false": 1} {
			b, _ := tiny(name, arch)
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, b, 0o755); err != nil {
				t.Fatal(err)
			}
			argv := append(with, path)
			err := exec.Command(argv[0], argv[1:]...).Run()
			code := 0
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != want {
				t.Errorf("%s for %s exits with %d", name, arch, code)
			}
		}
	}
}
