// Package e2e runs Hull as a user does, and looks at what the kernel then has.
package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest/live"
)

func example(name string) string { return filepath.Join("..", "..", "examples", name) }

func TestHello(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	h.Must("run", "-d", example("hello.yaml"))
	in := inspect(t, h, "hello")
	sharesSandbox(t, in)
	wantPage(t, in.IPs[0], "200 OK Hello from hello\n")
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
