package program

import (
	"io"
	"log/slog"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/starter"
	"github.com/hull-pods/hull/internal/starter/startertest"
)

func TestContract(t *testing.T) {
	hulltest.NeedRoot(t)
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
	p, err := New(Config{Path: hulltest.Runc(t), State: t.TempDir(), Infra: native, Log: log})
	must(err)
	startertest.Contract(t, startertest.Implementation{Starter: p, NoSeccomp: true})
}
