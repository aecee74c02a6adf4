// Package hostile runs a Hull with images and containers that mean it ill, and looks at what they reach.
package hostile

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest/live"
)

// pod is a manifest of one container that never restarts; more is the rest of the container, of one line.
func pod(name, image, more string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q},"spec":{"restartPolicy":"Never","terminationGracePeriodSeconds":1,
		"containers":[{"name":"c","image":%q,"imagePullPolicy":"Never"%s}]}}`, name, image, more)
}

const toolbox = "localhost/hull/toolbox"

// load gives a Hull an image of these entries.
func load(t *testing.T, h *live.Hull, ref string, config v1.Config, entries ...*tar.Header) {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, Config: config})
	if err == nil {
		img, err = mutate.AppendLayers(img, layer)
	}
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	if err := tarball.Write(tag, img, &archive); err != nil {
		t.Fatal(err)
	}
	if r := h.RunInput(archive.String(), "image", "load"); r.Code != 0 {
		t.Fatalf("load: %s%s", r.Stdout, r.Stderr)
	}
}

// start runs a Pod, and returns when its containers do.
func start(t *testing.T, h *live.Hull, manifest string) {
	t.Helper()
	if r := h.RunInput(manifest, "run", "-d", "-"); r.Code != 0 {
		t.Fatalf("run: exit code %d, %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// TestFailedStarts: a command that cannot be run ends its container, and nothing else.
func TestFailedStarts(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	daemon := h.Daemon()
	for i := range 20 {
		p := fmt.Sprintf("p%d", i)
		r := h.RunInput(pod(p, toolbox, `,"command":["/etc"]`), "run", "-d", "-")
		if want := `exec: "/etc": permission denied`; r.Code != 128 || !strings.Contains(r.Stderr, want) {
			t.Errorf("run: exit code %d, %s; want 128 and %s", r.Code, r.Stderr, want)
		}
	}
	if now := h.Daemon(); now != daemon {
		t.Errorf("hulld was %d and is %d", daemon, now)
	}
}

// TestOthersOfTheHost: whoever else is on the host reaches no file of a container, whatever its mode.
func TestOthersOfTheHost(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	start(t, h, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"terminationGracePeriodSeconds":0,"volumes":[
		{"name":"disk","emptyDir":{}},{"name":"memory","emptyDir":{"medium":"Memory"}}],"containers":[{"name":"c","image":"localhost/hull/toolbox",
		"command":["sh","-c","cp /bin/toolbox /own; chmod 4755 /own; cp /own /disk; cp /own /memory; cp /own /dev/shm; sleep infinity"],
		"volumeMounts":[{"name":"disk","mountPath":"/disk"},{"name":"memory","mountPath":"/memory"}]}]}}`)
	h.Must("exec", "p", "--", "sh", "-c", "until test -e /dev/shm/own; do sleep 0.05; done")
	found := 0
	for _, top := range []string{h.Root, h.State} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.Name() != "own" && d.Name() != "toolbox" || d.IsDir() {
				return nil
			}
			found++
			if reachable(t, top, filepath.Dir(path)) {
				t.Errorf("everybody reaches %s", path)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if found < 5 {
		t.Errorf("%d files were looked at: the image's, and one in each place where a container writes", found)
	}
}

// reachable tells whether all directories from top down to dir let everybody through.
func reachable(t *testing.T, top, dir string) bool {
	t.Helper()
	for ; len(dir) >= len(top); dir = filepath.Dir(dir) {
		fi, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode()&0o001 == 0 {
			return false
		}
	}
	return true
}

// TestDeviceForAFile: an image's device node with the name of a file that Hull reads is not opened.
func TestDeviceForAFile(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	// Were it opened, the error would be that of a device which is not there.
	load(t, h, "localhost/device:1", v1.Config{Cmd: []string{"x"}}, &tar.Header{Name: "etc/passwd", Typeflag: tar.TypeChar, Devmajor: 240, Devminor: 99, Mode: 0o600})
	r := h.RunInput(pod("p", "localhost/device:1", ""), "run", "-d", "-")
	if want := "/etc/passwd of the image is not a file"; r.Code == 0 || !strings.Contains(r.Stderr, want) {
		t.Errorf("run: exit code %d, %s; want %s", r.Code, r.Stderr, want)
	}
}

// TestStopSignal: an image cannot name a signal by which its containers are never stopped.
func TestStopSignal(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	for i, signal := range []string{"BOGUS", "0", "-1", "SIGRTMIN+999999999999999999999"} {
		ref := fmt.Sprintf("localhost/stop:%d", i)
		load(t, h, ref, v1.Config{StopSignal: signal}, &tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755})
		p := fmt.Sprintf("p%d", i)
		bin := t.TempDir()
		if err := unix.Chmod(bin, 0o755); err != nil {
			t.Fatal(err)
		}
		start(t, h, fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q},"spec":{"terminationGracePeriodSeconds":1,
			"volumes":[{"name":"bin","hostPath":{"path":%q}}],
			"initContainers":[{"name":"i","image":"localhost/hull/toolbox","command":["cp","/bin/toolbox","/to/sleep"],"volumeMounts":[{"name":"bin","mountPath":"/to"}]}],
			"containers":[{"name":"c","image":%q,"imagePullPolicy":"Never","command":["/bin/sleep","1000"],"volumeMounts":[{"name":"bin","mountPath":"/bin"}]}]}}`, p, bin, ref))
		h.Must("exec", p, "-c", "c", "--", "/bin/sleep", "0")
		h.Must("delete", "pod", p)
	}
}
