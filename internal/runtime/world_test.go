package runtime

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/cgroup"
	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/keeper"
	"github.com/hull-pods/hull/internal/network"
	"github.com/hull-pods/hull/internal/starter"
)

// A test of a whole runtime runs twice: in the process that go test starts, which is a hull-keeper's parent, and in the
// daemon that this keeper starts. Keeper and daemon are this program too.
const (
	envRole  = "HULL_TEST_ROLE"
	envState = "HULL_TEST_STATE"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(keeper.EnvFD) != "":
		beDaemon(m)
	case os.Getenv(envRole) == "keeper":
		os.Exit(keeper.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// beDaemon runs the test, leaves word of it, and has the keeper end.
func beDaemon(m *testing.M) {
	word := filepath.Join(os.Getenv(envState), "result")
	result := "it died"
	if _, err := os.Stat(word); errors.Is(err, os.ErrNotExist) {
		_ = os.WriteFile(word, []byte(result), 0o600)
		result = strconv.Itoa(m.Run())
	}
	_ = os.WriteFile(word, []byte(result), 0o600)
	_ = unix.Kill(os.Getppid(), unix.SIGTERM)
	select {} // until the keeper passes that on
}

// underKeeper has the test run as a daemon, and tells whether this is it. Otherwise all of it has happened.
func underKeeper(t *testing.T) bool {
	t.Helper()
	hulltest.NeedRoot(t)
	if os.Getenv(keeper.EnvFD) != "" {
		return true
	}
	state, err := os.MkdirTemp("", "hull") // short enough for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(state) }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	log, err := os.Create(filepath.Join(state, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.CommandContext(ctx, os.Args[0], "--state", state, "--", os.Args[0], "-test.v", "-test.timeout=100s", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), envRole+"=keeper", envState+"="+state)
	cmd.Stdout, cmd.Stderr = log, log
	err = cmd.Run()
	if result, _ := os.ReadFile(filepath.Join(state, "result")); string(result) != "0" || err != nil {
		said, _ := os.ReadFile(log.Name())
		t.Errorf("under its keeper: exit code %q, %v\n%s", result, err, said)
	}
	return false
}

// world is a runtime with everything real below it.
type world struct {
	*Runtime
	t     *testing.T
	cfg   Config
	image image.Image
}

func newWorld(t *testing.T) *world {
	t.Helper()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	root, state, instance := t.TempDir(), filepath.Join(os.Getenv(envState), "d"), hulltest.Instance(t)
	if err := os.MkdirAll(state, 0o711); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Instance: instance, Root: root, State: state, Log: log}
	fd, err := strconv.Atoi(os.Getenv(keeper.EnvFD))
	must(t, err)
	cfg.Keeper, err = keeper.Connect(os.NewFile(uintptr(fd), "keeper"), log)
	must(t, err)
	cfg.Network, err = network.Open(t.Context(), network.Config{
		Instance: instance, StateDir: filepath.Join(state, "network"), Log: log, IPv4: hulltest.Pool(t),
	})
	must(t, err)
	cfg.Images, err = image.Open(t.Context(), image.Config{Root: filepath.Join(root, "images"), Log: log})
	must(t, err)
	cfg.Cgroups, err = cgroup.Open(cgroup.Config{Parent: "hull-" + instance, Log: log})
	must(t, err)
	native, err := starter.NewNative(starter.Config{Log: log})
	must(t, err)
	cfg.Starters = map[string]starter.Starter{"": native}
	w := &world{t: t, image: busybox(t, cfg.Images), cfg: cfg}
	w.Runtime, err = Open(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() {
		for _, s := range w.all.allSandboxes() {
			must(t, w.RemoveSandbox(context.Background(), s.id))
		}
		left, err := w.Leftovers(context.Background())
		if err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
		must(t, errors.Join(w.Close(), cfg.Network.Purge(context.Background()), cfg.Images.Close()))
		native.Close()
		must(t, cfg.Cgroups.Load("").Prune())
	})
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// busybox is an image with hardly more than that.
func busybox(t *testing.T, images *image.Store) image.Image {
	t.Helper()
	box, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Skipf("install busybox-static: %v", err)
	}
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	must(t, w.WriteHeader(&tar.Header{Name: "bin/sh", Mode: 0o755, Size: int64(len(box))}))
	_, err = w.Write(box)
	must(t, err)
	must(t, w.WriteHeader(&tar.Header{Name: "bin/sleep", Typeflag: tar.TypeSymlink, Linkname: "sh"}))
	must(t, w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	must(t, err)
	img, err := mutate.AppendLayers(empty.Image, l)
	must(t, err)
	cfg, err := img.ConfigFile()
	must(t, err)
	cfg.OS, cfg.Architecture = "linux", goruntime.GOARCH
	img, err = mutate.ConfigFile(img, cfg)
	must(t, err)
	tag, err := name.NewTag("test/box")
	must(t, err)
	var archive bytes.Buffer
	must(t, tarball.Write(tag, img, &archive))
	loaded, err := images.Load(t.Context(), &archive)
	must(t, err)
	return loaded[0]
}

// sandbox runs one.
func (w *world) sandbox(change func(*SandboxConfig)) SandboxStatus {
	w.t.Helper()
	cfg := SandboxConfig{
		Owner: OwnerAPI, Namespace: "ns", Name: "pod", UID: "uid", CgroupParent: "poduid", LogDirectory: w.t.TempDir(), Hostname: "pod",
	}
	if change != nil {
		change(&cfg)
	}
	s, err := w.RunSandbox(w.t.Context(), cfg, func(string) {})
	must(w.t, err)
	return s
}

// container creates one that sleeps.
func (w *world) container(s SandboxStatus) ContainerStatus {
	w.t.Helper()
	c, err := w.CreateContainer(w.t.Context(), s.ID, w.sleeper())
	must(w.t, err)
	return c
}

func (w *world) sleeper() ContainerConfig {
	return ContainerConfig{Name: "c", ImageID: w.image.ID, LogPath: "c/0.log", Args: []string{"/bin/sleep", "1000"}}
}
