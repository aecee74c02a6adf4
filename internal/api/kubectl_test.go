package api

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/store"
)

// kubectl runs the real one against the server.
type kubectl struct {
	t      *testing.T
	path   string
	url    string
	home   string
	config string
}

func newKubectl(t *testing.T, h *hull) kubectl {
	t.Helper()
	path, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not installed")
	}
	srv := httptest.NewServer(h.server) // kubectl does not speak to unix sockets
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	home := t.TempDir()
	config := filepath.Join(home, "config")
	if err := os.WriteFile(config, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubectl{t: t, path: path, url: srv.URL, home: home, config: config}
}

// run returns what kubectl prints, both streams together, and whether it succeeded.
func (k kubectl) run(stdin string, args ...string) (string, bool) {
	k.t.Helper()
	cmd := exec.CommandContext(k.t.Context(), k.path, append([]string{"--server", k.url}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+k.home, "KUBECONFIG="+k.config)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// TestKubectl is a morning with kubectl: what it is asked, and what it says.
func TestKubectl(t *testing.T) {
	h := newHull(t)
	k := newKubectl(t, h)
	ages := regexp.MustCompile(`\b[0-9]+s\b`)
	spaces := regexp.MustCompile(` +`)
	ask := func(ok bool, want, stdin string, args ...string) {
		t.Helper()
		out, succeeded := k.run(stdin, args...)
		got := strings.TrimSpace(spaces.ReplaceAllString(ages.ReplaceAllString(out, "0s"), " "))
		got = strings.ReplaceAll(got, " \n", "\n")
		// Where versions of kubectl differ in their own words.
		got = strings.ReplaceAll(got, "warning: ", "Warning: ")
		got = strings.ReplaceAll(got, " deleted from default namespace", " deleted")
		if !slices.Contains(strings.Split(want, "\nor\n"), got) || succeeded != ok {
			t.Errorf("$ kubectl %s (%v)\n%s\nwant (%v)\n%s", strings.Join(args, " "), succeeded, got, ok, want)
		}
	}
	ask(true, "No resources found in default namespace.", "", "get", "pods")
	ask(true, "pod/web created", podJSON("web", ""), "create", "-f", "-")
	ask(false, `Error from server (AlreadyExists): error when creating "STDIN": pods "web" already exists`, podJSON("web", ""), "create", "-f", "-")
	ask(true, "NAME READY STATUS RESTARTS AGE\nweb 0/1 Pending 0 0s", "", "get", "pods")
	h.runs("web")
	ask(true, "NAME READY STATUS RESTARTS AGE\nweb 1/1 Running 0 0s", "", "get", "pods")
	ask(true, "NAMESPACE NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES\ndefault web 1/1 Running 0 0s 10.88.0.2 testhost <none> <none>",
		"", "get", "pods", "-A", "-o", "wide")
	ask(true, "10.88.0.2", "", "get", "pod", "web", "-o", "jsonpath={.status.podIP}")
	ask(true, "pod/web", "", "get", "pods", "-o", "name", "--field-selector", "status.phase=Running")
	ask(false, `Error from server (BadRequest): error when creating "STDIN": Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.bogus"`+
		"\nor\n"+`error: error validating "STDIN": error validating data: ValidationError(Pod.spec): unknown field "bogus" in io.k8s.api.core.v1.PodSpec; if you choose to ignore these errors, turn validation off with --validate=false`,
		podJSON("db", `,"bogus":1`), "create", "-f", "-")
	ask(false, "The Pod \"db\" is invalid:\n* spec.nodeSelector: Forbidden: Hull does not act on this field\n* spec.priority: Forbidden: Hull does not act on this field",
		podJSON("db", `,"nodeSelector":{"a":"b"},"priority":1`), "create", "-f", "-")
	ask(false, `The Pod "x" is invalid: spec.containers[0].image: Required value`,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"a"}]}}`, "create", "-f", "-")
	ask(true, "pod/db created", podJSON("db", ""), "apply", "-f", "-")
	ask(true, "pod/db unchanged", podJSON("db", ""), "apply", "-f", "-")
	ask(true, "pod/db configured", strings.Replace(podJSON("db", ""), "toolbox", "toolbox:2", 1), "apply", "-f", "-")
	ask(true, "pod/db configured (server dry run)", strings.Replace(podJSON("db", ""), "toolbox", "toolbox:3", 1), "apply", "-f", "-", "--dry-run=server")
	ask(true, "pod/db labeled", "", "label", "pod", "db", "tier=back")
	ask(true, "toolbox:2 back 2", "", "get", "pod", "db", "-o", "jsonpath={.spec.containers[0].image} {.metadata.labels.tier} {.metadata.generation}")
	ask(true, "NAME STATUS AGE\ndefault Active 0s", "", "get", "ns")
	ask(false, `Error from server (NotFound): pods "nope" not found`, "", "get", "pod", "nope")
	ask(false, "error: the server doesn't have a resource type \"nodes\"", "", "get", "nodes")
	p, err := store.Get[*corev1.Pod](h.store, "default", "web")
	if err != nil {
		t.Fatal(err)
	}
	h.store.Recorder("kubelet", node).Event(store.Ref(p, "spec.containers{a}"), corev1.EventTypeNormal, "Started", "Container started")
	ask(true, "LAST SEEN TYPE REASON OBJECT MESSAGE\n0s Normal Started pod/web Container started", "", "get", "events")
	if out, _ := k.run("", "describe", "pod", "web"); !strings.Contains(out, "Normal  Started") || !strings.Contains(out, "QoS Class:") {
		t.Errorf("describe: %s", out)
	}
	ask(true, "pod \"web\" deleted", "", "delete", "pod", "web", "--wait=false")
	ask(true, "NAME READY STATUS RESTARTS AGE\nweb 1/1 Terminating 0 0s", "", "get", "pod", "web")
	if _, _, err := h.store.Delete(store.KeyOf[*corev1.Pod]("default", "web"), nil); err != nil {
		t.Fatal(err)
	}
	ask(true, "Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\npod \"db\" force deleted",
		"", "delete", "pod", "db", "--force", "--grace-period=0")
	ask(true, "No resources found in default namespace.", "", "get", "pods")
}
