package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/hull-pods/hull/internal/api/stream"
	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/store"
)

const node = "testhost"

// hull is a server under test, and a client to it.
type hull struct {
	t       testing.TB
	store   *store.Store
	server  *Server
	client  *http.Client
	socket  string
	runtime *fakeRuntime
	images  *fakeImages
	system  *fakeSystem
}

func newHull(t testing.TB) *hull {
	t.Helper()
	// The path of a unix socket is short: not below t.TempDir, whose name has the test's.
	dir, err := os.MkdirTemp("", "hull-api")
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(filepath.Join(dir, "objects.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h := &hull{t: t, store: st, socket: filepath.Join(dir, "hull.sock"), runtime: &fakeRuntime{}, images: &fakeImages{}, system: &fakeSystem{}}
	h.server, err = New(Config{
		Store: st, Node: node, Version: Version{Hull: "0.1.0"},
		Runtime: h.runtime, Images: h.images, System: h.system, Sandboxes: fakeSandboxes{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", h.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(ctx, l) }()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", h.socket)
	}}
	h.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return h
}

// request is one call with an optional body; header is "Name: value" lines.
func (h *hull) request(method, path, body string, header ...string) *http.Response {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://hull"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if body == "" {
		req.Body, req.ContentLength = nil, 0
	}
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp
}

// call is a request whose answer is read whole.
func (h *hull) call(method, path, body string, header ...string) (int, string) {
	h.t.Helper()
	resp := h.request(method, path, body, header...)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// want is a call that must answer with a code; its body is decoded.
func want[T any](h *hull, code int, method, path, body string, header ...string) T {
	h.t.Helper()
	got, text := h.call(method, path, body, header...)
	if got != code {
		h.t.Fatalf("%s %s: %d %s, want %d", method, path, got, text, code)
	}
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		h.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return v
}

// refused is a call that must fail; it returns "code reason: message".
func (h *hull) refused(method, path, body string, header ...string) string {
	h.t.Helper()
	code, text := h.call(method, path, body, header...)
	var st metav1.Status
	if err := yaml.Unmarshal([]byte(text), &st); err != nil {
		h.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	if st.Kind != "Status" || st.APIVersion != "v1" || st.Status != metav1.StatusFailure || int(st.Code) != code {
		h.t.Errorf("%s %s: %d with %s", method, path, code, text)
	}
	return fmt.Sprintf("%d %s: %s", st.Code, st.Reason, st.Message)
}

const podsPath = "/api/v1/namespaces/default/pods"

// podJSON is the manifest of a small Pod; more goes into its spec.
func podJSON(name, more string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"labels":{"app":%q}},"spec":{"containers":[{"name":"a","image":"toolbox"}]%s}}`, name, name, more)
}

func (h *hull) create(name string) *corev1.Pod {
	h.t.Helper()
	p := want[corev1.Pod](h, 201, "POST", podsPath, podJSON(name, ""))
	return &p
}

// setStatus writes a Pod's status as the pod package does.
func (h *hull) setStatus(name string, change func(*corev1.PodStatus)) {
	h.t.Helper()
	_, _, err := store.Update(h.store, "default", name, func(p *corev1.Pod) (*corev1.Pod, error) {
		next := p.DeepCopy()
		change(&next.Status)
		return next, nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// runs makes a Pod's container run in its status.
func (h *hull) runs(name string) {
	h.setStatus(name, func(st *corev1.PodStatus) {
		st.Phase = corev1.PodRunning
		st.PodIPs = []corev1.PodIP{{IP: "10.88.0.2"}}
		st.PodIP = "10.88.0.2"
		st.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "a", Ready: true, ContainerID: "hull://c-" + name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}}
	})
}

type fakeRuntime struct {
	mu     sync.Mutex
	called []string
	exec   func(ctx context.Context, id string, args []string, st stream.Streams) (int, error)
	logs   func(ctx context.Context, id string, o LogOptions, stdout, stderr io.Writer) error
}

func (f *fakeRuntime) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.called = append(f.called, fmt.Sprintf(format, args...))
}

func (f *fakeRuntime) Exec(ctx context.Context, id string, args []string, st stream.Streams) (int, error) {
	f.note("exec %s %q stdin=%v stdout=%v stderr=%v tty=%v", id, args, st.Stdin != nil, st.Stdout != nil, st.Stderr != nil, st.TTY)
	return f.exec(ctx, id, args, st)
}

func (f *fakeRuntime) Attach(ctx context.Context, id string, st stream.Streams) error {
	f.note("attach %s stdin=%v stdout=%v stderr=%v tty=%v", id, st.Stdin != nil, st.Stdout != nil, st.Stderr != nil, st.TTY)
	_, err := f.exec(ctx, id, nil, st)
	return err
}

func (f *fakeRuntime) Logs(ctx context.Context, id string, o LogOptions, stdout, stderr io.Writer) error {
	return f.logs(ctx, id, o, stdout, stderr)
}

type fakeImages struct {
	images []image.Image
	loaded bytes.Buffer
}

func (f *fakeImages) List(context.Context) ([]image.Image, error) { return f.images, nil }

func (f *fakeImages) Get(_ context.Context, ref string) (image.Image, error) {
	for _, im := range f.images {
		if im.ID == ref || im.Names[0] == ref {
			return im, nil
		}
	}
	return image.Image{}, fmt.Errorf("image %s: %w", ref, errdefs.ErrNotFound)
}

func (f *fakeImages) Pull(_ context.Context, ref string, o image.PullOptions) (image.Image, error) {
	o.Progress(image.Progress{Ref: ref, Digest: "sha256:d", Layers: []image.LayerProgress{{Digest: "sha256:l", State: image.LayerDownloading, Done: 1, Size: 2}}})
	if strings.Contains(ref, "missing") {
		return image.Image{}, fmt.Errorf("pull %s: the registry has no such image: %w", ref, errdefs.ErrNotFound)
	}
	return image.Image{ID: "sha256:i", Names: []string{ref}}, nil
}

func (f *fakeImages) Load(_ context.Context, r io.Reader) ([]image.Image, error) {
	_, err := f.loaded.ReadFrom(r)
	return f.images, err
}

func (f *fakeImages) Remove(_ context.Context, ref string) error {
	f.images = nil
	return nil
}

type fakeSystem struct {
	stopped  bool
	repaired bool
	patience time.Duration
}

func (f *fakeSystem) Info(context.Context) (v1alpha1.Info, error) {
	return v1alpha1.Info{Node: node, StartedAt: time.Unix(1, 0)}, nil
}

func (f *fakeSystem) Check(_ context.Context, repair bool) ([]v1alpha1.Finding, error) {
	f.repaired = repair
	return []v1alpha1.Finding{{What: "a veth has no owner", Repaired: repair}}, nil
}

func (f *fakeSystem) Drain(_ context.Context, patience time.Duration) error {
	f.patience = patience
	return nil
}

func (f *fakeSystem) Stop(context.Context) error {
	f.stopped = true
	return nil
}

type fakeSandboxes struct{}

func (fakeSandboxes) Inspect(_ context.Context, namespace, pod string, birth bool) (v1alpha1.Sandbox, error) {
	if pod != "web" {
		return v1alpha1.Sandbox{}, fmt.Errorf("pod %q has no sandbox yet: %w", pod, errdefs.ErrNotFound)
	}
	return v1alpha1.Sandbox{Meta: v1alpha1.Of("Sandbox"), Namespace: namespace, Name: pod, Infra: v1alpha1.Process{Birth: fmt.Sprint(birth)}}, nil
}
