package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/hulltest/live"
)

// TestScripts runs the scripts of testdata against one Hull: each is a user who has read the help. A script's Pods have names of
// its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	registry := newRegistry(t, nil)
	image := push(t, registry, 10_000)
	layout, own, tar := ociLayout(t), ownLayout(t), toolboxTar(t)
	t.Run("scripts", func(t *testing.T) {
		testscript.Run(t, testscript.Params{
			Dir: "testdata",
			Setup: func(e *testscript.Env) error {
				examples, err := filepath.Abs(filepath.Join("..", "..", "examples"))
				e.Setenv("HULL_ROOT", h.Root)
				e.Setenv("HULL_STATE", h.State)
				e.Setenv("PATH", filepath.Dir(h.Command().Path)+":"+e.Getenv("PATH"))
				e.Setenv("EXAMPLES", examples)
				e.Setenv("IMAGE", image)
				e.Setenv("LAYOUT", layout)
				e.Setenv("OWN", own)
				e.Setenv("TOOLBOX", tar)
				return err
			},
			Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"exits": exits,
				// restarted POD: wait until a container of the Pod has been restarted.
				"restarted": func(_ *testscript.TestScript, _ bool, args []string) {
					await(t, h, args[0], "it was restarted", func(p *corev1.Pod) bool {
						return slices.ContainsFunc(p.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.RestartCount > 0 })
					})
				},
			},
			RequireExplicitExec: true, RequireUniqueNames: true,
		})
	})
	nothingRemains(t, h)
}

// exits runs a command and wants its exit code: exits 125 hull run nothing.yaml
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d\n%s%s", fmt.Sprint(args[1:]), got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// TestStopWithoutHulld deletes Pods that hulld has left alone.
func TestStopWithoutHulld(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	h.Must("run", "-d", example("hello.yaml"))
	h.Must("system", "stop", "--leave-pods")
	refused(t, h, 1, " that it keeps are alive: hull system start takes them over, and hull system stop --delete-pods or --end-pods ends them\n", "", "system", "stop")
	if r := h.Run("system", "stop", "--delete-pods"); r.Code != 0 || r.Stdout != "stopped\n" {
		t.Errorf("%+v", r)
	}
	if out := h.Must("get", "pods", "-o", "name"); out != "" {
		t.Errorf("there is still %s", out)
	}
}
