package hostile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/hulltest/live"
)

// TestFlags: a container with CAP_LINUX_IMMUTABLE makes what it can write as chattr +i does, and its Pod is removed.
func TestFlags(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	start(t, h, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"terminationGracePeriodSeconds":1,"volumes":[{"name":"v","emptyDir":{}}],
		"containers":[{"name":"c","image":"localhost/hull/toolbox","command":["sleep","infinity"],"volumeMounts":[{"name":"v","mountPath":"/v"}]}]}}`)
	set := 0
	for _, pattern := range []string{
		h.Root + "/volumes/*/volumes/v", h.Root + "/volumes/*/containers/c-*", h.Root + "/containers/*/*/upper",
		h.State + "/sandboxes/*/hosts", h.State + "/sandboxes/*/resolv.conf",
	} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		if bind(t, found[0]) {
			set++
		}
	}
	if set == 0 {
		t.Skip("no file system here has such flags")
	}
	h.Must("delete", "pod", "p", "--timeout=30s")
}

// bind sets a file's flag by which nobody may remove it, and tells whether its file system has one.
func bind(t *testing.T, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	const immutable = 0x10
	err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, immutable)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) {
		return false
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() { // should it be there still
		if f, err := os.Open(path); err == nil {
			_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0)
			_ = f.Close()
		}
	})
	return true
}
