package hulltest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Runc builds runc from its module and returns its path. It is not linked with libseccomp, which would have to be installed:
// it refuses a spec with a filter.
func Runc(t testing.TB) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds runc")
	}
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("runc needs cgo, and gcc is not installed")
	}
	file := filepath.Join(t.TempDir(), "runc")
	cmd := exec.Command("go", "build", "-o", file, "github.com/opencontainers/runc")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("build runc: %v\n%s", err, out)
	}
	return file
}
