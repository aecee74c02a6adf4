package e2e

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hull-pods/hull/internal/hulltest/live"
)

// TestKubectl asks the same questions with kubectl, where the machine has it, and compares the answers word by word.
func TestKubectl(t *testing.T) {
	t.Parallel()
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("compares with kubectl: install it (Debian's package kubernetes-client)")
	}
	h := live.Start(t, live.Pool())
	server := "--server=" + overTCP(t, filepath.Join(h.State, "hull.sock"))
	home := t.TempDir()
	k := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), kubectl, append([]string{server}, args...)...)
		cmd.Env = append(cmd.Environ(), "HOME="+home, "KUBECONFIG=/dev/null")
		out, _ := cmd.CombinedOutput() // the code says it
		return string(out), cmd.ProcessState.ExitCode()
	}
	h.Must("run", "-d", example("hello.yaml"))
	once := toolbox("once", `["sh", "-c", "echo one; echo two; exit 3"]`, "", "restartPolicy: Never")
	refused(t, h, 3, "Error (exit code 3)", once, "run", "-")
	for _, args := range [][]string{
		{"get", "pods"},
		{"get", "pods", "-o", "wide"},
		{"get", "pods", "-A"},
		{"get", "pod", "hello", "-o", "name"},
		{"get", "pods", "-o", "name"},
		{"get", "pods", "--no-headers"},
		{"get", "pods", "--show-labels"},
		{"get", "pods", "hello", "nosuch"},
		{"get", "pods", "hello", "nosuch", "-o", "json"},
		{"get", "pods", "nosuch", "nosuch2", "-o", "yaml"},
		{"get", "pod", "nosuch"},
		{"get", "pods", "-n", "other"},
		{"get", "pods", "-o", "jsonpath={.items[*].status.phase}"},
		{"get", "pod", "hello", "-o", "jsonpath={.status.containerStatuses[*].restartCount}"},
		{"get", "pod", "once", "-o", "yaml"},
		{"get", "pod", "once", "-o", "json"},
		{"describe", "pod", "once"},
		{"describe", "pod", "hello"},
		{"logs", "once"},
		{"logs", "once", "--tail", "1"},
		{"logs", "hello", "-c", "writer"},
		{"logs", "hello", "-c", "nosuch"},
		{"logs", "nosuch"},
		{"exec", "hello", "-c", "writer", "--", "hostname"},
		{"exec", "hello", "-c", "writer", "--", "sh", "-c", "exit 4"},
		{"exec", "once", "--", "true"},
		{"exec", "hello"},
		{"delete", "pod", "nosuch"},
		{"delete", "pod", ""},
		{"delete", "pod", "hello", "--now", "--grace-period=0"},
		{"delete", "pod", "hello", "--force", "--grace-period=3"},
		{"get", "pods", "hello", "-l", "app=web"},
		{"get", "pods/"},
		{"get", "PODS", "hello"},
		{"describe", "pods", "--show-events"},
		{"describe", "pod", "hel", "--show-events=false"},
		{"describe", "pod", "nosuch", "once", "--show-events"},
		{"logs", "po/once", "--tail", "-2"},
		{"logs", "once", "--since-time", "yesterday"},
		{"logs", "-l", "app=nosuch"},
	} {
		want, wantCode := k(args...)
		r := h.Run(args...)
		got := r.Stdout + r.Stderr
		if plain(got) != plain(want) || r.Code != wantCode {
			t.Errorf("%s\nhull (exit code %d):\n%s\nkubectl (exit code %d):\n%s", strings.Join(args, " "), r.Code, got, wantCode, want)
		}
	}
	for words, want := range map[string]string{
		"explain pod.spec.containers.image": "Container image name.",
		"port-forward pod/hello 18080:80":   "Hull forwards no ports",
		"create namespace shop":             "a namespace is there as soon as something is in it",
	} {
		if got, _ := k(strings.Fields(words)...); !strings.Contains(got, want) {
			t.Errorf("kubectl %s: %s", words, got)
		}
	}
	h.Must("delete", "pods", "--all")
}

// Words that depend on the moment, and those that a newer kubectl than the machine's has: a Pod's priority class and
// service account, say.
var (
	moment = regexp.MustCompile(`\b\d+m?s\b`)
	newer  = regexp.MustCompile(`spec\.(initC|c)ontainers\{\S+\}: | out of: .*`)
	gap    = regexp.MustCompile(` +`)
)

func plain(s string) string {
	return gap.ReplaceAllString(moment.ReplaceAllString(newer.ReplaceAllString(s, ""), "0s"), " ")
}

// overTCP lets a program that knows no unix sockets reach one, and returns the URL.
func overTCP(t testing.TB, socket string) string {
	t.Helper()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "hull"})
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL
}
