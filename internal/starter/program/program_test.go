package program

import (
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/starter"
	"github.com/hull-pods/hull/internal/starter/startertest"
)

// buildRunc builds runc from its module. It is not linked with libseccomp, which would have to be installed.
func buildRunc(t *testing.T) string {
	t.Helper()
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

func TestContract(t *testing.T) {
	hulltest.NeedRoot(t)
	if testing.Short() {
		t.Skip("builds runc")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(linux.SetSubreaper()) // runc's containers become children of the nearest one
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	native, err := starter.NewNative(starter.Config{Log: log, Own: true})
	must(err)
	t.Cleanup(native.Close)
	p, err := New(Config{Path: buildRunc(t), State: t.TempDir(), Infra: native, Log: log})
	must(err)
	startertest.Contract(t, startertest.Implementation{Starter: p, NoSeccomp: true})
}
