package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/client"
	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/hulltest/live"
)

const maxPIDs = 64

// toolbox is a Pod of one container of the built-in image; more are lines of its container, then lines of the Pod's spec.
func toolbox(name, command string, more ...string) string {
	text := "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\nspec:\n  terminationGracePeriodSeconds: 1\n"
	if len(more) > 1 {
		text += "  " + more[1] + "\n"
	}
	text += "  containers:\n  - name: main\n    image: localhost/hull/toolbox\n    command: " + command + "\n"
	if len(more) > 0 && more[0] != "" {
		text += "    " + more[0] + "\n"
	}
	return text
}

const forever = `["sleep", "infinity"]`

// refused runs a command line that must fail, with this code and error.
func refused(t *testing.T, h *live.Hull, code int, want, input string, args ...string) {
	t.Helper()
	r := h.RunInput(input, args...)
	if r.Code != code || !strings.Contains(r.Stderr, want) {
		t.Errorf("hull %s: exit code %d, %q; want %d and %q", strings.Join(args, " "), r.Code, r.Stderr, code, want)
	}
}

// TestBadDays has what goes wrong without anybody's crash: one clear error where a person looks for it, and afterwards nothing
// is left.
func TestBadDays(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool(), live.Flags("--pod-max-pids", strconv.Itoa(maxPIDs)))
	t.Run("days", func(t *testing.T) {
		for name, day := range map[string]func(*testing.T, *live.Hull){
			"manifest": wrongManifest, "image": missingImage, "hostPath": missingHostPath, "hostPort": portOfTheHost, "podPort": portOfAPod,
			"command": missingCommand, "bomb": forkBomb, "line": longLine, "clash": nameClash, "user": plainUser,
			"memory": tooLittleMemory,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				day(t, h)
			})
		}
	})
	h.Must("delete", "pods", "--all")
	nothingRemains(t, h)
}

func wrongManifest(t *testing.T, h *live.Hull) {
	good := toolbox("wrong", forever)
	for _, c := range []struct{ text, want string }{
		{strings.Replace(good, "    image: localhost/hull/toolbox\n", "", 1), "The Pod \"wrong\" is invalid: spec.containers[0].image: Required value\n"},
		{strings.Replace(good, "image:", "imagee:", 1), `Error from server (BadRequest): error when creating "STDIN": Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.containers[0].imagee"`},
		{strings.Replace(good, "- name: main", "- name: Main", 1), `spec.containers[0].name: Invalid value: "Main": a lowercase RFC 1123 label must consist of`},
		{toolbox("wrong", forever, "livenessProbe: {tcpSocket: {port: 80}}"), "The Pod \"wrong\" is invalid: spec.containers[0].livenessProbe: Forbidden: Hull does not act on this field\n"},
		{toolbox("wrong", forever, "volumeMounts: [{name: data, mountPath: /data}]"), "spec.containers[0].volumeMounts[0].name: Not found: \"data\"\n"},
		{strings.Replace(good, "kind: Pod", "kind: Deployment", 1), `error: unable to recognize "STDIN": no matches for kind "Deployment" in version "v1" (hull runs Pods)`},
		{"kind: Pod\n", "error: error validating \"STDIN\": apiVersion not set\n"},
		{"a: b: c\n", "error: error parsing STDIN: error converting YAML to JSON: yaml: "},
		{"# nothing\n", "error: no objects passed to apply\n"},
	} {
		refused(t, h, 1, c.want, c.text, "apply", "-f", "-")
		refused(t, h, 125, c.want, c.text, "run", "-")
	}
	refused(t, h, 1, "error: the path \"/no/such.yaml\" does not exist\n", "", "apply", "-f", "/no/such.yaml")
	refused(t, h, 1, "error: error reading ["+filepath.Dir(t.TempDir())+"", "", "apply", "-f", filepath.Dir(t.TempDir()))
	refused(t, h, 1, "Error from server (NotFound): pods \"wrong\" not found\n", "", "get", "pod", "wrong")
	// Of several, one that is refused takes the others with it.
	refused(t, h, 125, "imagee", toolbox("right", forever)+"---\n"+strings.Replace(good, "image:", "imagee:", 1), "run", "-d", "-")
	refused(t, h, 1, `pods "right" not found`, "", "get", "pod", "right")
}

func missingImage(t *testing.T, h *live.Hull) {
	registry := newRegistry(t, nil)
	pod := strings.Replace(toolbox("noimage", forever), "localhost/hull/toolbox", registry+"/no/such:v1", 1)
	refused(t, h, 125, `pod/noimage: container main: ErrImagePull: failed to pull and unpack image "`+registry+`/no/such:v1": `, pod, "run", "-d", "-")
	awaitEvent(t, h, "noimage", "Failed", `Failed to pull image "`+registry+`/no/such:v1": `)
	p := await(t, h, "noimage", "it backs off", func(p *corev1.Pod) bool {
		w := status(p, "main").State.Waiting
		return w != nil && w.Reason == "ImagePullBackOff"
	})
	if w := status(p, "main").State.Waiting; !strings.HasPrefix(w.Message, `Back-off pulling image "`+registry+`/no/such:v1"`) || !strings.Contains(w.Message, registry+"/no/such:v1: not found") {
		t.Errorf("the container waits: %s", w.Message)
	}
	refused(t, h, 1, registry+"/no/such:v1: not found", "", "image", "pull", registry+"/no/such:v1")

	never := strings.Replace(toolbox("never", forever, "imagePullPolicy: Never"), "hull/toolbox", "no/such", 1)
	refused(t, h, 125, `pod/never: container main: ErrImageNeverPull: Container image "localhost/no/such" is not present with pull policy of Never`, never, "run", "-d", "-")
	bad := strings.Replace(toolbox("badname", forever), "localhost/hull/toolbox", "UPPER", 1)
	refused(t, h, 125, `pod/badname: container main: InvalidImageName: Failed to apply default image tag "UPPER": `, bad, "run", "-d", "-")
}

func missingHostPath(t *testing.T, h *live.Hull) {
	dir := filepath.Join(t.TempDir(), "data")
	pod := toolbox("nopath", forever, "volumeMounts: [{name: data, mountPath: /data}]", "volumes: [{name: data, hostPath: {path: "+dir+", type: Directory}}]")
	want := `MountVolume.SetUp failed for volume "data" : hostPath type check failed, ` + dir + ` is not a directory`
	refused(t, h, 125, "pod/nopath: FailedMount: "+want, pod, "run", "-d", "-")
	awaitEvent(t, h, "nopath", "FailedMount", want)
	// The way out is taken while the Pod waits.
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	await(t, h, "nopath", "it runs once the directory is there", isReady)
}

func portOfTheHost(t *testing.T, h *live.Hull) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	pod := toolbox("taken", forever, fmt.Sprintf("ports: [{containerPort: 80, hostPort: %d}]", port))
	self := filepath.Base(os.Args[0])
	want := fmt.Sprintf("Failed to create pod sandbox: run the sandbox of Pod default/taken: give it a network: host port %d/TCP is already used by %.15s (process %d)\n", port, self, os.Getpid())
	refused(t, h, 125, "pod/taken: FailedCreatePodSandBox: "+want, pod, "run", "-d", "-")
	awaitEvent(t, h, "taken", "FailedCreatePodSandBox", strings.TrimSpace(want))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, h, "taken", "it runs once the port is free", isReady)
}

func portOfAPod(t *testing.T, h *live.Hull) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ports := "ports: [{containerPort: 80, hostPort: " + port + "}]"
	if r := h.RunInput(toolbox("first", forever, ports), "run", "-d", "-"); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	refused(t, h, 125, "host port "+port+"/TCP is already used by Pod default/first\n", toolbox("second", forever, ports), "run", "-d", "-")
	h.Must("delete", "pod", "first")
	await(t, h, "second", "it runs once the other Pod is gone", isReady)
}

func missingCommand(t *testing.T, h *live.Hull) {
	const want = `start container "main" of Pod default/nocommand: exec: "nosuch": executable file not found in $PATH`
	refused(t, h, 128, "error: pod/nocommand: container main: StartError (exit code 128): "+want+"\n", toolbox("nocommand", `["nosuch"]`, "", "restartPolicy: Never"), "run", "-d", "-")
	awaitEvent(t, h, "nocommand", "Failed", "Error: "+want)
	if got := column(t, h, "nocommand", "STATUS"); got != "StartError" {
		t.Errorf("STATUS is %s", got)
	}
}

// forkBomb has a Pod that makes processes as long as it is let.
func forkBomb(t *testing.T, h *live.Hull) {
	h.Apply(toolbox("bomb", `["sh", "-c", "while true; do sleep 1000 & done"]`))
	awaitLog(t, h, "bomb", "resource temporarily unavailable", "failed to create new OS thread")
	if n := len(programs(t, inspect(t, h, "bomb"))); n > maxPIDs+1 {
		t.Errorf("%d processes are in the Pod", n)
	}
	h.Must("delete", "pod", "bomb", "--now")
}

// longLine has a container that writes ten million bytes and no newline.
func longLine(t *testing.T, h *live.Hull) {
	const size = 10_000_000
	if r := h.RunInput(toolbox("line", fmt.Sprintf(`["sh", "-c", "head -c %d /dev/zero | tr '\\0' x"]`, size), "", "restartPolicy: Never"), "run", "-d", "-"); r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	await(t, h, "line", "it has ended", func(p *corev1.Pod) bool { return p.Status.Phase == corev1.PodSucceeded })
	log := h.Must("logs", "line")
	if strings.Trim(log, "x") != "" || len(log) != size {
		t.Errorf("%d bytes come back, of which other than x: %.40q", len(log), strings.Trim(log, "x"))
	}
	if r := h.Run("logs", "line", "--limit-bytes", "10"); r.Stdout != "xxxxxxxxxx" {
		t.Errorf("--limit-bytes 10 prints %q", r.Stdout)
	}
	paths, err := filepath.Glob(filepath.Join(h.Root, "log/pods/default_line_*/main/0.log*"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%v, %v", paths, err)
	}
	data, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	if first, _, _ := strings.Cut(string(data), "\n"); !strings.Contains(first, " stdout P x") {
		t.Errorf("a part of a line is marked as one: %.80q", first)
	}
}

func nameClash(t *testing.T, h *live.Hull) {
	twice := toolbox("clash", forever) + "  - name: main\n    image: localhost/hull/toolbox\n"
	refused(t, h, 1, "The Pod \"clash\" is invalid: spec.containers[1].name: Duplicate value: \"main\"\n", twice, "apply", "-f", "-")
	pod := toolbox("clash", forever)
	h.Apply(pod)
	before := inspectAfter(t, h, "clash")
	err := h.API.Do(t.Context(), client.Request{Method: http.MethodPost, Path: podsPath, Body: []byte(pod), Type: "application/yaml"}, nil)
	if want := `Error from server (AlreadyExists): pods "clash" already exists`; err == nil || err.Error() != want {
		t.Errorf("a second Pod of the name: %v, want %s", err, want)
	}
	refused(t, h, 1, "The Pod \"clash\" is invalid: spec: Forbidden: pod updates may not change fields other than", strings.Replace(pod, "infinity", "1000", 1), "apply", "-f", "-")
	if r := h.RunInput(pod, "apply", "-f", "-"); r.Stdout != "pod/clash unchanged\n" {
		t.Errorf("the same again: %+v", r)
	}
	if now := inspectAfter(t, h, "clash"); now.running(t, "main") != before.running(t, "main") {
		t.Error("the Pod is another one")
	}
}

func inspectAfter(t *testing.T, h *live.Hull, pod string) inspected {
	t.Helper()
	await(t, h, pod, "it is ready", isReady)
	return inspect(t, h, pod)
}

// tooLittleMemory has limits whose unit was forgotten: 64 bytes, for a container beside another one, and for all of a Pod.
func tooLittleMemory(t *testing.T, h *live.Hull) {
	starving := toolbox("starving", forever, "resources: {limits: {memory: 64}}", "restartPolicy: Never")
	refused(t, h, 125, "start infra process hull-infra ", starving, "run", "-d", "-")
	refused(t, h, 125, ": the process was killed before it ran its command: out of memory: its limit is too low\n", starving, "run", "-d", "-")
	beside := strings.Replace(starving, "starving", "beside", 1) +
		"  - {name: rich, image: localhost/hull/toolbox, command: [sleep, infinity], resources: {limits: {memory: 100Mi}}}\n"
	refused(t, h, 128, `start container "main" of Pod default/beside: the process was killed before it ran its command: out of memory: its limit is too low`,
		beside, "run", "-d", "-")
	h.Must("delete", "pods", "starving", "beside")
}

// plainUser runs hull as nobody.
func plainUser(t *testing.T, h *live.Hull) {
	bin := filepath.Join(t.TempDir(), "hull")
	for _, d := range []string{filepath.Dir(bin), filepath.Dir(filepath.Dir(bin))} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("cp", h.Command().Path, bin).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for state, want := range map[string]string{
		h.State:    "error: no access to " + h.State + "/hull.sock: be root or a member of the group hull\n",
		"/no/hull": "error: hulld does not run (/no/hull/hull.sock), and only root can start it: sudo hull system start\n",
	} {
		for _, args := range [][]string{{"get", "pods"}, {"run", example("hello.yaml")}, {"image", "ls"}, {"system", "start"}} {
			cmd := exec.CommandContext(t.Context(), bin, append(args, "--state", state)...)
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{}}}
			out, err := cmd.CombinedOutput()
			if err == nil || string(out) != want {
				t.Errorf("hull %v: %v, %q, want %q", args, err, out, want)
			}
		}
	}
}

// TestFlagsOfHulld are flags that the one who gives them does not see refused.
func TestFlagsOfHulld(t *testing.T) {
	t.Parallel()
	h := live.Start(t, live.Pool())
	h.Must("system", "stop")
	for flag, want := range map[string]string{
		"--nosuch":            "error: start hulld: flag provided but not defined: -nosuch (its log: ",
		"--pod-max-pids=many": `error: start hulld: invalid value "many" for flag -pod-max-pids: parse error (its log: `,
		"word":                `error: start hulld: unexpected argument "word" (its log: `,
		"--failpoints=x=y":    `error: start hulld: failpoint "x=y": want NAME=error|kill[@N] with a name from the list (its log: `,
		"--help":              "error: hulld prints something and ends with that flag: run hulld --help\n",
		"--state=/tmp/other":  "error: --state is hull's own flag, before the --: hull and hulld must agree on it\n",
	} {
		refused(t, h, 1, want, "", "system", "start", "--", flag)
	}
	toldAndGone(t, h)
}

// toldAndGone waits for a keeper that has told why hulld does not start: it ends after that.
func toldAndGone(t *testing.T, h *live.Hull) {
	t.Helper()
	left := h.Leaks()
	for deadline := time.Now().Add(patience); len(left) > 0 && time.Now().Before(deadline); {
		left = h.Leaks()
	}
	if len(left) > 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// TestNoOverlayfs is Hull on a kernel that lacks what it cannot do without.
func TestNoOverlayfs(t *testing.T) {
	t.Parallel()
	hulltest.NeedRoot(t)
	h := live.Start(t, live.Pool())
	h.Must("system", "stop")
	r := h.Run("system", "start", "--", "--failpoints", "image.overlayfs=error")
	want := "error: start hulld: this kernel has no overlayfs, of which containers' file systems are made: load its module (modprobe overlay), or boot a kernel with CONFIG_OVERLAY_FS"
	if r.Code != 1 || !strings.HasPrefix(r.Stderr, want) {
		t.Errorf("exit code %d, %q, want %q", r.Code, r.Stderr, want)
	}
	toldAndGone(t, h)
}
