package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/hulltest"
)

// crashing is the environment of a child that attaches a sandbox and dies on the way.
const crashing = "HULL_NETWORK_TEST_CRASH"

type crash struct {
	Config    Config
	ID        string
	Failpoint string
	Detach    bool
}

// crashInside is the child: descriptor 3 is the sandbox's namespace. It returns only when it was not killed.
func crashInside() error {
	var c crash
	if err := json.Unmarshal([]byte(os.Getenv(crashing)), &c); err != nil {
		return err
	}
	c.Config.Log = discard
	n, err := Open(context.Background(), c.Config)
	if err != nil {
		return err
	}
	n.grace = shortGrace
	set := func() error { return failpoint.Set(c.Failpoint + "=kill") }
	if !c.Detach {
		if err := set(); err != nil {
			return err
		}
	}
	ns := os.NewFile(3, "namespace")
	if _, err := n.Attach(context.Background(), Request{ID: c.ID, Netns: ns, Ports: []Port{{HostPort: 8080, ContainerPort: 80}}}); err != nil {
		return err
	}
	if c.Detach {
		if err := set(); err != nil {
			return err
		}
		if err := n.Detach(context.Background(), c.ID); err != nil {
			return err
		}
	}
	return fmt.Errorf("failpoint %s was not hit", c.Failpoint)
}

// A hulld that is killed at any step leaves what the next one finds by List and removes by Detach.
func TestKilledAnywhereIsFoundAndRemoved(t *testing.T) {
	hulltest.NeedRoot(t)
	cfg := testConfig(t)
	for _, name := range failpoint.All() {
		t.Run(name, func(t *testing.T) {
			ns := hulltest.Netns(t)
			c := crash{Config: cfg, ID: newID(t), Failpoint: name, Detach: name == "network.release" || name == "network.forget"}
			c.Config.Log = nil
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), crashing+"="+string(text))
			cmd.ExtraFiles = []*os.File{ns}
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
				t.Fatalf("the child was not killed: %v\n%s", err, out)
			}
			n := open(t, cfg)
			ids, err := n.List(t.Context())
			if err != nil || len(ids) > 1 || len(ids) == 1 && ids[0] != c.ID {
				t.Errorf("List %v, %v; want at most %s", ids, err, c.ID)
			}
			if err := n.Detach(t.Context(), c.ID); err != nil {
				t.Error(err)
			}
			none(t, n)
			p := attach(t, n, Port{HostPort: 8080, ContainerPort: 80}) // nothing is in the way
			p.end(n)
		})
	}
}
