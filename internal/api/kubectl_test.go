package api

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// kubectl runs the real one against the server.
type kubectl struct {
	t    *testing.T
	path string
	url  string
	home string
}

func newKubectl(t *testing.T, h *hull) kubectl {
	t.Helper()
	path, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not installed")
	}
	srv := httptest.NewServer(h.server) // kubectl does not speak to unix sockets
	t.Cleanup(srv.Close)
	return kubectl{t: t, path: path, url: srv.URL, home: t.TempDir()}
}

// run returns what kubectl prints, both streams together, and whether it succeeded.
func (k kubectl) run(stdin string, args ...string) (string, bool) {
	k.t.Helper()
	cmd := exec.CommandContext(k.t.Context(), k.path, append([]string{"--server", k.url}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+k.home, "KUBECONFIG="+k.home+"/none")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}
func TestKubectlTry(t *testing.T) {
	h := newHull(t)
	k := newKubectl(t, h)
	h.create("web")
	h.runs("web")
	try := func(stdin string, args ...string) {
		out, ok := k.run(stdin, args...)
		t.Logf("$ kubectl %s (%v)\n%s", strings.Join(args, " "), ok, out)
	}
	try("", "version")
	try("", "api-resources")
	try("", "get", "pods")
	try("", "get", "pods", "-o", "wide", "-A")
	try(podJSON("db", ""), "create", "-f", "-")
	try(podJSON("db2", `,"bogus":1`), "create", "-f", "-")
	try(podJSON("db2", `,"nodeSelector":{"a":"b"}`), "create", "-f", "-")
	try(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"a"}]}}`, "create", "-f", "-")
	try(podJSON("db3", ""), "apply", "-f", "-")
	try(strings.Replace(podJSON("db3", ""), "toolbox", "toolbox:2", 1), "apply", "-f", "-")
	try(strings.Replace(podJSON("db3", ""), "toolbox", "toolbox:3", 1), "apply", "-f", "-", "--dry-run=server")
	try("", "label", "pod", "db3", "a=b")
	try("", "get", "pod", "db3", "-o", "yaml")
	try("", "describe", "pod", "web")
	try("", "delete", "pod", "web", "--wait=false")
	try("", "delete", "pod", "db3", "--force", "--grace-period=0")
	try("", "get", "pods,events,ns")
	try("", "delete", "pod", "nope")
	try("", "run", "r1", "--image", "toolbox")
	try("", "create", "ns", "foo")
	try("", "get", "nodes")
}
