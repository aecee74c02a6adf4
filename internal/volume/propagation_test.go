package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/hulltest"
)

// TestPropagation: a volumeMount asks for what only a mount of the host that is shared, or a slave, can give.
func TestPropagation(t *testing.T) {
	hulltest.NeedRoot(t)
	v := open(t)
	host := filepath.Join(t.TempDir(), "host")
	at := host
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(host, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := os.MkdirAll(filepath.Join(at, "dir/sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	try := func(p v1.MountPropagationMode, subPath string) string {
		list, err := v.Mounts(pod(hostPath(filepath.Join(at, "dir"), "")), container(v1.VolumeMount{Name: "h", MountPath: "/v", SubPath: subPath, MountPropagation: &p}))
		for _, m := range list {
			_ = m.File.Close()
			if want := strings.TrimPrefix(string(p), "None"); m.Propagation != want {
				t.Errorf("%s: the mount has %q", p, m.Propagation)
			}
		}
		if err == nil {
			return ""
		}
		if no := (*PropagationError)(nil); !errors.As(err, &no) {
			t.Errorf("%s: %v", p, err)
		}
		return err.Error()
	}
	no := func(path, kind string) string {
		return fmt.Sprintf("path %q is mounted on %q but it is not a %s mount", filepath.Join(at, path), at, kind)
	}
	for _, c := range []struct {
		flag                      uintptr
		hostToContainer, bothWays string
	}{
		{unix.MS_PRIVATE, no("dir", "shared or slave"), no("dir", "shared")},
		{unix.MS_SHARED, "", ""},
	} {
		if err := unix.Mount("", at, "", c.flag, ""); err != nil {
			t.Fatal(err)
		}
		if got := try(v1.MountPropagationHostToContainer, ""); got != c.hostToContainer {
			t.Errorf("HostToContainer: %q, want %q", got, c.hostToContainer)
		}
		if got := try(v1.MountPropagationBidirectional, ""); got != c.bothWays {
			t.Errorf("Bidirectional: %q, want %q", got, c.bothWays)
		}
		if got := try(v1.MountPropagationNone, ""); got != "" {
			t.Errorf("None: %q", got)
		}
	}
	// A slave of the mount passes on what comes, and nothing to where it comes from.
	slave := filepath.Join(t.TempDir(), "slave")
	if err := errors.Join(os.Mkdir(slave, 0o755), unix.Mount(at, slave, "", unix.MS_BIND, "")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(slave, unix.MNT_DETACH) })
	if err := unix.Mount("", slave, "", unix.MS_SLAVE, ""); err != nil {
		t.Fatal(err)
	}
	at = slave
	if got := try(v1.MountPropagationHostToContainer, "sub"); got != "" {
		t.Errorf("HostToContainer from a slave: %q", got)
	}
	if got, want := try(v1.MountPropagationBidirectional, "sub"), no("dir/sub", "shared"); got != want {
		t.Errorf("Bidirectional from a slave: %q, want %q", got, want)
	}
}
