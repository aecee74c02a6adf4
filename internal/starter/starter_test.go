package starter_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
	"github.com/hull-pods/hull/internal/starter/startertest"
)

// newNative is a native starter whose processes are the test's own children.
func newNative(t testing.TB) *starter.Native {
	t.Helper()
	hulltest.NeedRoot(t)
	n, err := starter.NewNative(starter.Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Own: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func TestTrue(t *testing.T) {
	n := newNative(t)
	s := spec(t, oci.Config{Args: []string{"/bin/true"}})
	o, err := run(t, n, starter.Request{Key: "c1", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
	if err != nil {
		t.Fatal(err)
	}
	if !o.Status.Exited() || o.Status.ExitStatus() != 0 {
		t.Fatalf("exit %v, output %q", o.Status, o.Out)
	}
}

func TestContract(t *testing.T) {
	startertest.Contract(t, startertest.Implementation{Starter: newNative(t)})
}

// ahead prepares each start.
type ahead struct{ *starter.Native }

func (a ahead) Start(ctx context.Context, r starter.Request) (_ *starter.Process, err error) {
	if r.Prepared, err = a.Prepare(r); err != nil {
		return nil, err
	}
	if r.Ready == nil {
		r.Ready = func(context.Context, starter.Facts) error { return nil }
	}
	return a.Native.Start(ctx, r)
}

func TestContractPrepared(t *testing.T) {
	startertest.Contract(t, startertest.Implementation{Starter: ahead{newNative(t)}})
}

// TestAmbientCapabilities: those that are permitted and inheritable too are raised, and no other keeps a container from starting.
func TestAmbientCapabilities(t *testing.T) {
	n := newNative(t)
	s := spec(t, oci.Config{UID: 1000, Args: []string{"sh", "-c", "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status"}})
	s.Process.Capabilities = &oci.LinuxCapabilities{
		Bounding: []string{"CAP_KILL", "CAP_NET_RAW", "CAP_CHOWN"}, Permitted: []string{"CAP_NET_RAW", "CAP_KILL"}, Effective: []string{"CAP_KILL"},
		Inheritable: []string{"CAP_NET_RAW"}, Ambient: []string{"CAP_NET_RAW", "CAP_KILL"},
	}
	o, err := run(t, n, starter.Request{Key: "c", Spec: s, Rootfs: rootfs(t, busyboxRoot(t))})
	if err != nil {
		t.Fatal(err)
	}
	const raw, all = "0000000000002000", "0000000000002021"
	expect(t, o, "CapInh:\t"+raw+"\nCapPrm:\t"+raw+"\nCapEff:\t"+raw+"\nCapBnd:\t"+all+"\nCapAmb:\t"+raw+"\n")
}
