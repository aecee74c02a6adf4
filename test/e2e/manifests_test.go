package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/hulltest"
	"github.com/hull-pods/hull/internal/hulltest/images"
	"github.com/hull-pods/hull/internal/hulltest/live"
)

// realImages starts a Hull for which a registry on loopback stands in for docker.io, with a real nginx and a real Debian.
func realImages(t *testing.T) *live.Hull {
	t.Helper()
	hulltest.NeedRoot(t)
	if _, err := exec.LookPath("mmdebstrap"); err != nil && os.Getenv("HULL_TEST_NEED") != "root" {
		t.Skip("makes images from Debian's packages: install mmdebstrap")
	}
	return live.Start(t, live.Pool(), live.Flags("--registry-config", images.Registry(t)))
}

// wantPage asks a Pod's server for its page, until that is as it should be: of when the server listens the kernel tells nobody, and another
// container of the Pod may be about to write the page.
func wantPage(t testing.TB, ip, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := ""
	for got != want && ctx.Err() == nil {
		got = page(ctx, "http://"+ip+"/")
	}
	if got != want {
		t.Errorf("the page is %q, want %q", got, want)
	}
}

// page is an HTTP GET in words.
func page(ctx context.Context, url string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return resp.Status + " " + string(body)
}

// manifest is an example's text, with replacements: each of the old texts must be there.
func manifest(t testing.TB, name string, oldnew ...string) string {
	t.Helper()
	data, err := os.ReadFile(example(name))
	if err != nil {
		t.Fatal(err)
	}
	s := string(data)
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(s, oldnew[i]) {
			t.Fatalf("%s has no %q", name, oldnew[i])
		}
		s = strings.ReplaceAll(s, oldnew[i], oldnew[i+1])
	}
	return s
}

const helloDebian = "Hello from the debian container\n"

// TestTwoContainers runs the manifest as it is: its hostPath is a path of this host.
func TestTwoContainers(t *testing.T) {
	t.Parallel()
	const data = "/data-tmp"
	hulltest.NeedRoot(t)
	if _, err := os.Lstat(data); err == nil {
		t.Skip(data + " exists on this host, and the manifest would write to it: remove it")
	}
	h := realImages(t)
	t.Cleanup(func() { _ = os.RemoveAll(data) })
	h.Must("run", "-d", example("two-containers.yaml"))
	p := await(t, h, "two-containers", "nginx runs and debian has ended", func(p *corev1.Pod) bool {
		return status(p, "nginx-container").State.Running != nil && status(p, "debian-container").State.Terminated != nil
	})
	if end := status(p, "debian-container").State.Terminated; end.Reason != "Completed" || end.ExitCode != 0 {
		t.Errorf("debian-container: %s, exit code %d", end.Reason, end.ExitCode)
	}
	if p.Status.Phase != corev1.PodRunning {
		t.Errorf("the Pod is %s", p.Status.Phase)
	}
	if got := column(t, h, "two-containers", "READY"); got != "1/2" {
		t.Errorf("READY is %s", got)
	}
	if got := h.Must("describe", "pod", "two-containers"); !strings.Contains(got, "Reason:       Completed\n      Exit Code:    0\n") {
		t.Errorf("describe does not say Completed:\n%s", got)
	}
	if got, err := os.ReadFile(data + "/index.html"); err != nil || string(got) != helloDebian {
		t.Errorf("%s/index.html: %q, %v", data, got, err)
	}
	wantPage(t, p.Status.PodIP, "200 OK "+helloDebian)
	sharesSandbox(t, inspect(t, h, "two-containers"))

	// What a Pod that may not restart is worth without its infra container: its containers are ended, and that is its end.
	in := inspect(t, h, "two-containers")
	nginx := watchProcess(t, in.running(t, "nginx-container").PID)
	watchProcess(t, in.Infra.PID).kill()
	nginx.end()
	p = await(t, h, "two-containers", "the Pod has ended", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
	if s := status(p, "nginx-container"); s.RestartCount != 0 || s.State.Terminated == nil {
		t.Errorf("nginx-container after its sandbox' end: %+v", s)
	}
	h.Must("delete", "pod", "two-containers")
	if _, err := os.Stat(data + "/index.html"); err != nil {
		t.Errorf("a hostPath is the host's: %v", err)
	}
}

// bothLive is the manifest of two containers such that both go on.
func bothLive(t *testing.T) string {
	return manifest(t, "two-containers.yaml", "restartPolicy: Never", "terminationGracePeriodSeconds: 1",
		"hostPath:\n      path: /data-tmp", "emptyDir: {}", "index.html\"]", "index.html; exec sleep infinity\"]")
}

func bothRun(nginx, debian int32) func(*corev1.Pod) bool {
	return func(p *corev1.Pod) bool {
		return isRunning("nginx-container", nginx)(p) && isRunning("debian-container", debian)(p)
	}
}

// TestSharedSandbox kills each of two containers: the sandbox does not care, and neither does the other container.
func TestSharedSandbox(t *testing.T) {
	t.Parallel()
	h := realImages(t)
	h.Apply(bothLive(t))
	p := await(t, h, "two-containers", "both run", bothRun(0, 0))
	in := inspect(t, h, "two-containers")
	sharesSandbox(t, in)
	infra := watchProcess(t, in.Infra.PID)
	wantPage(t, p.Status.PodIP, "200 OK "+helloDebian)
	page := h.Must("exec", "two-containers", "-c", "debian-container", "--", "bash", "-c",
		`exec 3<>/dev/tcp/localhost/80; printf 'GET / HTTP/1.0\r\n\r\n' >&3; cat <&3`)
	if !strings.HasSuffix(page, "\r\n\r\n"+helloDebian) {
		t.Errorf("debian-container reaches nginx on localhost: %q", page)
	}
	for i, name := range []string{"nginx-container", "debian-container"} {
		other := watchProcess(t, in.running(t, []string{"debian-container", "nginx-container"}[i]).PID)
		watchProcess(t, in.running(t, name).PID).kill()
		now := await(t, h, "two-containers", name+" runs again", bothRun(1, int32(i)))
		if now.Status.PodIP != p.Status.PodIP {
			t.Errorf("the Pod's address was %s, and is %s after the end of %s", p.Status.PodIP, now.Status.PodIP, name)
		}
		if end := status(now, name).LastTerminationState.Terminated; end == nil || end.ExitCode != 137 || end.Reason != "Error" {
			t.Errorf("%s was killed, and is said to have ended with %+v", name, end)
		}
		if !infra.alive() || !other.alive() {
			t.Errorf("the end of %s was not its own affair: infra lives %t, the other container lives %t", name, infra.alive(), other.alive())
		}
		in = inspect(t, h, "two-containers")
		if in.Infra.PID != infra.pid {
			t.Errorf("the infra container is %d, was %d", in.Infra.PID, infra.pid)
		}
		sharesSandbox(t, in)
	}
	wantPage(t, p.Status.PodIP, "200 OK "+helloDebian)
}

// TestInfraKilled kills the infra process: with it the network is gone, so all is made anew.
func TestInfraKilled(t *testing.T) {
	t.Parallel()
	h := realImages(t)
	h.Apply(bothLive(t))
	await(t, h, "two-containers", "both run", bothRun(0, 0))
	in := inspect(t, h, "two-containers")
	old := []watched{watchProcess(t, in.running(t, "nginx-container").PID), watchProcess(t, in.running(t, "debian-container").PID)}
	watchProcess(t, in.Infra.PID).kill()
	await(t, h, "two-containers", "both run in the next sandbox", bothRun(1, 1))
	for _, w := range old {
		w.end()
	}
	awaitEvent(t, h, "two-containers", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")
	now := inspect(t, h, "two-containers")
	if now.Infra.PID == in.Infra.PID {
		t.Error("the infra container is the one that was killed")
	}
	sharesSandbox(t, now)
	wantPage(t, now.IPs[0], "200 OK "+helloDebian)
}

const sampleIndex = "<h1>Hello from the init container</h1>\n"

func TestNginxWeb(t *testing.T) {
	t.Parallel()
	h := realImages(t)
	h.Must("run", "-d", example("nginxweb.yaml"))
	p := await(t, h, "nginxweb", "it is ready", isReady)
	if end := status(p, "htmls").State.Terminated; end == nil || end.ExitCode != 0 || end.Reason != "Completed" {
		t.Errorf("the init container: %+v", status(p, "htmls").State)
	}
	wantPage(t, p.Status.PodIP, "200 OK "+sampleIndex)
	in := inspect(t, h, "nginxweb")
	sharesSandbox(t, in)

	// Without its infra process everything begins again, the init container too.
	nginx := watchProcess(t, in.running(t, "nginx").PID)
	watchProcess(t, in.Infra.PID).kill()
	nginx.end()
	p = await(t, h, "nginxweb", "nginx runs in the next sandbox", func(p *corev1.Pod) bool { return isRunning("nginx", 1)(p) && isReady(p) })
	if first := status(p, "htmls"); first.RestartCount != 1 || first.State.Terminated == nil || first.State.Terminated.ExitCode != 0 {
		t.Errorf("the init container in the next sandbox: %+v", first)
	}
	wantPage(t, p.Status.PodIP, "200 OK "+sampleIndex)
}

// TestInitFirst holds the init container back: nothing of nginx is there until it has ended.
func TestInitFirst(t *testing.T) {
	t.Parallel()
	h := realImages(t)
	gate := t.TempDir()
	if err := exec.Command("mkfifo", filepath.Join(gate, "go")).Run(); err != nil {
		t.Fatal(err)
	}
	h.Apply(manifest(t, "nginxweb.yaml", `["cp", "/index.html", "/app"]`, `["sh", "-c", "cat /gate/go; cp /index.html /app"]`,
		"      name: app-volume\n  containers:", "      name: app-volume\n    - mountPath: /gate\n      name: gate\n  containers:",
		"    emptyDir: {}", "    emptyDir: {}\n  - name: gate\n    hostPath:\n      path: "+gate))
	p := await(t, h, "nginxweb", "its init container runs", isRunning("htmls", 0))
	if w := status(p, "nginx").State.Waiting; w == nil || w.Reason != "PodInitializing" {
		t.Errorf("nginx meanwhile: %+v", status(p, "nginx").State)
	}
	if got := column(t, h, "nginxweb", "STATUS"); got != "Init:0/1" {
		t.Errorf("STATUS is %s", got)
	}
	in := inspect(t, h, "nginxweb")
	for pid, name := range programs(t, in) {
		if strings.HasPrefix(name, "nginx") {
			t.Errorf("process %d is %s, before the init container has ended", pid, name)
		}
	}
	first := watchProcess(t, in.running(t, "htmls").PID)
	began := startTime(t, first.pid)
	if err := os.WriteFile(filepath.Join(gate, "go"), []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	p = await(t, h, "nginxweb", "it is ready", isReady)
	if first.alive() {
		t.Error("nginx is ready, and the init container's process still lives")
	}
	in = inspect(t, h, "nginxweb")
	if nginx := in.running(t, "nginx"); startTime(t, nginx.PID) < began || startTime(t, in.Infra.PID) > began {
		t.Error("the order was not infra, init container, nginx")
	}
	wantPage(t, p.Status.PodIP, "200 OK "+sampleIndex)
}

// TestInitFails has an init container that never succeeds: it is retried with the kubelet's back-off, and nginx never starts.
func TestInitFails(t *testing.T) {
	t.Parallel()
	h := realImages(t)
	text := manifest(t, "nginxweb.yaml", `"/index.html"`, `"/nothing.html"`)
	r := h.RunInput(text, "run", "-d", "-")
	if want := "pod/nginxweb: container htmls: Error (exit code 1)"; r.Code != 1 || !strings.Contains(r.Stderr, want) {
		t.Errorf("hull run -d: exit code %d, %q, want 1 and %q", r.Code, r.Stderr, want)
	}
	// 10 seconds after the second failure it is tried a third time, and the next wait is twice as long.
	for i, wait := range []string{"10s", "20s"} {
		message := "back-off " + wait + " restarting failed container=htmls pod=nginxweb_default("
		p := await(t, h, "nginxweb", message, func(p *corev1.Pod) bool {
			if s := status(p, "nginx"); s.State.Waiting == nil || s.LastTerminationState.Terminated != nil {
				t.Errorf("nginx has been started: %+v", s)
			}
			s := status(p, "htmls")
			return s.RestartCount == int32(i+1) && s.State.Waiting != nil && strings.HasPrefix(s.State.Waiting.Message, message)
		})
		if w := status(p, "htmls").State.Waiting; w.Reason != "CrashLoopBackOff" {
			t.Errorf("the init container waits because of %s", w.Reason)
		}
		if got := column(t, h, "nginxweb", "STATUS"); got != "Init:CrashLoopBackOff" {
			t.Errorf("STATUS is %s", got)
		}
		if p.Status.Phase != corev1.PodPending {
			t.Errorf("the Pod is %s", p.Status.Phase)
		}
	}
	awaitEvent(t, h, "nginxweb", "BackOff", "Back-off restarting failed container htmls in pod nginxweb_default(")
	if logs := h.Must("logs", "nginxweb", "-c", "htmls"); !strings.Contains(logs, "can't stat '/nothing.html'") {
		t.Errorf("the init container says %q", logs)
	}
	for pid, name := range programs(t, inspect(t, h, "nginxweb")) {
		if strings.HasPrefix(name, "nginx") {
			t.Errorf("process %d is %s", pid, name)
		}
	}
}
