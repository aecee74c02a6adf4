package crash

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

// These tests are what docs/failures.md says.

// workers is a Pod of one container that runs for ever, behind an init container.
func workers(name, policy string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q},"spec":{"restartPolicy":%q,"terminationGracePeriodSeconds":5,
	"volumes":[{"name":"data","emptyDir":{}}],
	"initContainers":[{"name":"init","image":"localhost/hull/toolbox","command":["sh","-c","echo init >> /data/runs"],"volumeMounts":[{"name":"data","mountPath":"/data"}]}],
	"containers":[{"name":"c","image":"localhost/hull/toolbox","command":["sh","-c","echo run >> /data/runs; sleep infinity"],"volumeMounts":[{"name":"data","mountPath":"/data"}]}]}}`, name, policy)
}

func runs(p *pod) bool { return p != nil && p.Status.Phase == "Running" && p.running("c") }

// after is a Pod whose container runs after so many restarts.
func after(restarts int) func(*pod) bool {
	return func(p *pod) bool { return runs(p) && p.container("c").RestartCount == restarts }
}

// shoot kills a process of a Pod, and returns when it is dead.
func (h *hull) shoot(pid int) {
	h.t.Helper()
	fd, err := linux.PidfdOpen(pid)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = fd.Close() }()
	if err := linux.PidfdSignal(fd, unix.SIGKILL); err != nil {
		h.t.Fatal(err)
	}
	if err := linux.PidfdWait(fd); err != nil {
		h.t.Fatal(err)
	}
}

func (in inspected) pid(t testing.TB, name string) int {
	t.Helper()
	for _, c := range in.Containers {
		if c.Name == name {
			return c.PID
		}
	}
	t.Fatalf("no container %s", name)
	return 0
}

func (h *hull) wantEnd(c containerState, code int, reason string) {
	h.t.Helper()
	if c.Terminated == nil || c.Terminated.ExitCode != code || c.Terminated.Reason != reason {
		h.t.Errorf("it ended so: %+v; want exit code %d, %s", c.Terminated, code, reason)
	}
}

// runs is what a Pod's containers have written of themselves, once there are so many lines: a container runs, to Hull, before
// its shell has come to write one.
func (h *hull) runs(pod string, lines int) (string, bool) {
	h.t.Helper()
	wait := fmt.Sprintf("n=0; while [ $(wc -l < /data/runs) -lt %d ] && [ $n -lt 300 ]; do n=$((n+1)); sleep 0.1; done; cat /data/runs", lines)
	return h.exec(pod, "c", "sh", "-c", wait)
}

// began waits until a Pod's container runs, and has come to say so.
func (h *hull) began(pod string) {
	h.t.Helper()
	h.await(pod, "its container to run", runs)
	if out, ok := h.runs(pod, 2); !ok || out != "init\nrun\n" {
		h.t.Errorf("the containers of %s ran like this: %q", pod, out)
	}
}

// TestInfraKilled: the sandbox is over, and its containers are stopped, with their grace period. The Pod begins again with its
// init containers, in a new sandbox, unless it is never to be restarted.
func TestInfraKilled(t *testing.T) {
	h := start(t)
	descriptors := h.KeeperDescriptors()
	h.create(workers("always", "Always"))
	h.create(workers("never", "Never"))
	h.began("always")
	h.began("never")
	always, never := h.inspect("always"), h.inspect("never")
	h.shoot(always.Infra.PID)
	h.shoot(never.Infra.PID)

	p := h.await("always", "its container to run again", after(1))
	h.wantEnd(p.container("c").LastState, 143, "Error")
	if out, ok := h.runs("always", 4); !ok || out != "init\nrun\ninit\nrun\n" {
		t.Errorf("its containers ran like this: %q", out)
	}
	if in := h.inspect("always"); in.Infra.PID == always.Infra.PID || in.Infra.PID == 0 {
		t.Errorf("the infra container is %d, as it was", in.Infra.PID)
	}
	p = h.await("never", "its end", func(p *pod) bool { return p != nil && p.Status.Phase == "Failed" })
	h.wantEnd(p.container("c").State, 143, "Error")
	h.remove("always", -1)
	h.remove("never", -1)
	h.clean(descriptors)
}

// TestContainerKilled: the sandbox stays, and the restart policy decides.
func TestContainerKilled(t *testing.T) {
	h := start(t)
	descriptors := h.KeeperDescriptors()
	infra := map[string]string{}
	for _, policy := range []string{"Always", "OnFailure", "Never"} {
		name := strings.ToLower(policy)
		h.create(workers(name, policy))
		h.began(name)
		in := h.inspect(name)
		infra[name] = h.born(in.Infra.PID)
		h.shoot(in.pid(t, "c"))
	}
	for _, name := range []string{"always", "onfailure"} {
		p := h.await(name, "its container to run again", after(1))
		h.wantEnd(p.container("c").LastState, 137, "Error")
		if now := h.born(h.inspect(name).Infra.PID); now != infra[name] {
			t.Errorf("%s: the infra container was %s, and is %s", name, infra[name], now)
		}
		if out, ok := h.runs(name, 3); !ok || out != "init\nrun\nrun\n" {
			t.Errorf("%s: its containers ran like this: %q", name, out)
		}
	}
	p := h.await("never", "its end", func(p *pod) bool { return p != nil && p.Status.Phase == "Failed" })
	h.wantEnd(p.container("c").State, 137, "Error")
	for name := range infra {
		h.remove(name, -1)
	}
	h.clean(descriptors)
}

// TestKeeperKilled: hulld ends too. The next start of Hull ends what runs, as nobody could see how it ends, and goes on as the
// restart policies say.
func TestKeeperKilled(t *testing.T) {
	h := start(t)
	descriptors := h.KeeperDescriptors()
	h.create(workers("always", "Always"))
	h.create(workers("never", "Never"))
	h.began("always")
	h.began("never")
	var old []string
	for _, name := range []string{"always", "never"} {
		in := h.inspect(name)
		for _, pid := range []int{in.Infra.PID, in.pid(t, "c")} {
			old = append(old, fmt.Sprint(pid))
			h.born(pid)
		}
	}
	h.KillKeeper()
	for _, pid := range old {
		if _, err := os.Stat("/proc/" + pid); err != nil {
			t.Errorf("a container's process did not outlive the keeper: %v", err)
		}
	}
	h.Up() // as hull does
	p := h.await("always", "its container to run again", after(1))
	h.wantEnd(p.container("c").LastState, 137, "ContainerStatusUnknown")
	p = h.await("never", "its end", func(p *pod) bool { return p != nil && p.Status.Phase == "Failed" })
	h.wantEnd(p.container("c").State, 137, "ContainerStatusUnknown")
	for _, pid := range old {
		// Whoever is process 1 here need not have reaped it.
		if line, err := os.ReadFile("/proc/" + pid + "/cmdline"); err == nil && len(line) > 0 {
			t.Errorf("process %s still runs: %q", pid, line)
		}
	}
	h.remove("always", -1)
	h.remove("never", -1)
	h.clean(descriptors)
}
