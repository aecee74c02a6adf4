package images

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/image"
)

// TestImages pulls every image through Hull's store and runs something in it.
func TestImages(t *testing.T) {
	hulltest.NeedRoot(t)
	if _, err := exec.LookPath("mmdebstrap"); err != nil && os.Getenv("HULL_TEST_NEED") != "root" {
		t.Skip("makes root file systems from Debian's packages: install mmdebstrap")
	}
	certs := Registry(t)
	s, err := image.Open(t.Context(), image.Config{Root: filepath.Join(t.TempDir(), "images"), RegistryConfig: certs, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for ref, c := range map[string]struct{ script, want, cmd string }{
		"debian":                   {"head -1 /etc/os-release; echo ok", `PRETTY_NAME="Debian`, "bash"},
		"nginx":                    {"nginx -t 2>&1; cat /usr/share/nginx/html/index.html", "Welcome to nginx!", "nginx -g daemon off;"},
		"nginx:1.7.9":              {"readlink /var/log/nginx/access.log /var/log/nginx/error.log", "/dev/stdout\n/dev/stderr", "nginx -g daemon off;"},
		"dolphintwo/pod-sample:v2": {"cp /index.html /app && cat /app/index.html", samplePage, "sh"},
	} {
		t.Run(ref, func(t *testing.T) {
			img, err := s.Pull(t.Context(), ref, image.PullOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(img.Config.Cmd, " "); got != c.cmd {
				t.Errorf("command %q, want %q", got, c.cmd)
			}
			root := mount(t, s, img.ID)
			cmd := exec.Command("/bin/sh", "-c", c.script)
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
			cmd.Env, cmd.Dir = img.Config.Env, "/"
			if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
}

// mount shows an image as a container would see it, with /dev/null, which nginx wants.
func mount(t *testing.T, s *image.Store, id string) string {
	t.Helper()
	dirs, err := s.Layers(t.Context(), id, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	top, root := t.TempDir(), t.TempDir()
	upper, work := filepath.Join(top, "upper"), filepath.Join(top, "work")
	if err := errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755)); err != nil {
		t.Fatal(err)
	}
	opts := "lowerdir=" + strings.Join(dirs, ":") + ",upperdir=" + upper + ",workdir=" + work
	if err := syscall.Mount("overlay", root, "overlay", 0, opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Unmount(root, 0), s.Release(context.Background(), t.Name())); err != nil {
			t.Error(err)
		}
	})
	return root
}
