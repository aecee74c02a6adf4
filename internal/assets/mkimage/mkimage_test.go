package main

import (
	"bytes"
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
		"/bin/true && ! /bin/false && echo ok":            "ok\n",
		"id; stat -c '%a %U' /tmp /root":                  "uid=0(root) gid=0(root) groups=0(root)\n1777 root\n700 root\n",
		"sleep 0.001 && sleep 0 && sleep 1e-3 && echo ok": "ok\n",
		"sleep soon; echo $?":                             "sleep: invalid time interval \"soon\"\n1\n",
		"which sh ls httpd wget":                          "/usr/bin/sh\n/usr/bin/ls\n/usr/bin/httpd\n/usr/bin/wget\n",
	} {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dirs[0]}
		cmd.Env, cmd.Dir = img.Config.Env, "/"
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("%s: %q, %v", script, out, err)
		}
	}
}
