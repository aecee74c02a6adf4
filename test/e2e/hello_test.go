// Package e2e runs Hull as a user does, and looks at what the kernel then has.
package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest/live"
)

// inspected is what hull inspect -o json says of a Pod, as far as the tests use it.
type inspected struct {
	Infra      process   `json:"infra"`
	Containers []process `json:"containers"`
	IPs        []string  `json:"ips"`
}

type process struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	PID  int    `json:"pid"`
}

func inspect(t *testing.T, h *live.Hull, pod string) inspected {
	t.Helper()
	var in inspected
	if err := json.Unmarshal([]byte(h.Must("inspect", pod, "-o", "json")), &in); err != nil {
		t.Fatal(err)
	}
	return in
}

func (in inspected) container(t *testing.T, name string) process {
	t.Helper()
	for _, c := range in.Containers {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no container %s in %+v", name, in)
	return process{}
}

// namespace is the inode of a process' namespace, as the kernel shows it.
func namespace(t *testing.T, pid int, name string) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// startTime is when a process was cloned, in clock ticks since boot (proc(5), stat field 22).
func startTime(t *testing.T, pid int) int64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	var ticks int64
	if _, err := fmt.Sscan(fields[19], &ticks); err != nil {
		t.Fatal(err)
	}
	return ticks
}

// sharesSandbox checks from /proc that containers are in the infra container's namespaces, and younger than it.
func sharesSandbox(t *testing.T, in inspected) {
	t.Helper()
	for _, c := range in.Containers {
		if c.PID == 0 {
			continue
		}
		for _, ns := range []string{"net", "ipc", "uts"} {
			if got, want := namespace(t, c.PID, ns), namespace(t, in.Infra.PID, ns); got != want {
				t.Errorf("container %s has %s, the infra container %s", c.Name, got, want)
			}
		}
		for _, ns := range []string{"mnt", "pid"} {
			if namespace(t, c.PID, ns) == namespace(t, in.Infra.PID, ns) {
				t.Errorf("container %s shares its %s namespace with the infra container", c.Name, ns)
			}
		}
		if startTime(t, c.PID) < startTime(t, in.Infra.PID) {
			t.Errorf("container %s is older than the infra container", c.Name)
		}
	}
	if namespace(t, in.Infra.PID, "net") == namespace(t, os.Getpid(), "net") {
		t.Error("the infra container is in the host's network namespace")
	}
}

func example(name string) string { return filepath.Join("..", "..", "examples", name) }

func TestHello(t *testing.T) {
	h := live.Start(t)
	h.Must("run", "-d", example("hello.yaml"))
	in := inspect(t, h, "hello")
	sharesSandbox(t, in)
	page := h.Must("exec", "hello", "-c", "server", "--", "wget", "-qO-", "http://127.0.0.1/")
	if want := "Hello from hello\n"; page != want {
		t.Errorf("the page says %q, want %q", page, want)
	}
	if got := h.Must("logs", "hello", "-c", "writer"); got != "page written\n" {
		t.Errorf("the writer's log says %q", got)
	}
	h.Must("delete", "pod", "hello")
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", in.Infra.PID)); err == nil {
		t.Error("the infra container is still there")
	}
}
