package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/volume"
)

// behaviour is what a container of the fake runtime does.
type behaviour struct {
	creating  time.Duration
	createErr error
	startErr  error
	runs      time.Duration // 0: until it is stopped
	exit      int
	reason    string
	deaf      bool          // SIGTERM does nothing
	dying     time.Duration // from SIGTERM to the end
	dies      time.Duration // so long after it began to wait for its turn
	hangs     bool          // its birth does not come to its end
	executing time.Duration // from the word to go on to its execve
	says      string        // its log
	leaves    string        // its termination message
}

// fakeRuntime keeps sandboxes and containers as the real one does, but has no kernel. Its times are the bubble's.
type fakeRuntime struct {
	mu         sync.Mutex
	ids        int
	began      time.Time
	sandboxes  map[string]*runtime.SandboxStatus
	containers map[string]*fakeContainer
	behave     map[string]behaviour // by container name
	sandboxErr error
	sandboxing time.Duration     // how long one is made
	removing   func(id string)   // before a container is removed
	warnings   []runtime.Warning // of a sandbox
	events     chan runtime.Event
	calls      []string // what was done, with the second at which it was
}

type fakeContainer struct {
	runtime.ContainerStatus
	ended chan struct{}
}

func newFakeRuntime() *fakeRuntime {
	return &fakeRuntime{began: time.Now(), sandboxes: map[string]*runtime.SandboxStatus{}, containers: map[string]*fakeContainer{}, behave: map[string]behaviour{}, events: make(chan runtime.Event, 1000)}
}

// call notes what is done. f.mu is held.
func (f *fakeRuntime) call(format string, args ...any) {
	at := time.Since(f.began) / time.Second
	f.calls = append(f.calls, fmt.Sprintf("%d: %s", at, fmt.Sprintf(format, args...)))
}

// done returns the calls so far that begin with one of the words, and forgets all.
func (f *fakeRuntime) done(words ...string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	calls = slices.DeleteFunc(calls, func(c string) bool {
		_, what, _ := strings.Cut(c, ": ")
		return len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(what, w) })
	})
	return strings.Join(calls, "\n")
}

func (f *fakeRuntime) id(prefix string) string { f.ids++; return fmt.Sprintf("%s-%d", prefix, f.ids) }

func (f *fakeRuntime) RunSandbox(_ context.Context, cfg runtime.SandboxConfig, meanwhile func(string)) (runtime.SandboxStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.call("sandbox %d", cfg.Attempt)
	if f.sandboxErr != nil {
		return runtime.SandboxStatus{}, f.sandboxErr
	}
	s := &runtime.SandboxStatus{ID: f.id("s"), Config: cfg, State: runtime.SandboxReady, CreatedAt: time.Now(), IPs: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Warnings: f.warnings}
	f.sandboxes[s.ID] = s
	meanwhile(s.ID)
	f.mu.Unlock()
	time.Sleep(f.sandboxing)
	f.mu.Lock()
	return *s, nil
}

func (f *fakeRuntime) StopSandbox(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.call("stop sandbox")
	if s := f.sandboxes[id]; s != nil {
		s.State = runtime.SandboxNotReady
	}
	for _, c := range f.containers {
		if c.SandboxID == id {
			f.end(c, 137, "Error")
		}
	}
	return nil
}

func (f *fakeRuntime) RemoveSandbox(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.call("remove sandbox")
	delete(f.sandboxes, id)
	maps.DeleteFunc(f.containers, func(_ string, c *fakeContainer) bool { return c.SandboxID == id })
	return nil
}

func (f *fakeRuntime) Sandbox(id string) (runtime.SandboxStatus, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.sandboxes[id]; s != nil {
		return *s, nil
	}
	return runtime.SandboxStatus{}, errdefs.ErrNotFound
}

func (f *fakeRuntime) Sandboxes(runtime.Owner) (list []runtime.SandboxStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sandboxes {
		list = append(list, *s)
	}
	return list
}

func (f *fakeRuntime) Events(runtime.Owner) <-chan runtime.Event { return f.events }

// reboots forgets everything that a runtime forgets with the machine's boot.
func (f *fakeRuntime) reboots() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sandboxes, f.containers = map[string]*runtime.SandboxStatus{}, map[string]*fakeContainer{}
}

// dies ends the infra process of every sandbox.
func (f *fakeRuntime) dies() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.sandboxes {
		s.State = runtime.SandboxNotReady
		f.events <- runtime.Event{Type: runtime.SandboxEnded, SandboxID: s.ID}
	}
}

func (f *fakeRuntime) CreateContainer(_ context.Context, sandbox string, cfg runtime.ContainerConfig) (runtime.ContainerStatus, error) {
	for _, m := range cfg.Mounts {
		if m.File != nil {
			_ = m.File.Close()
		}
	}
	f.mu.Lock()
	b := f.behave[cfg.Name]
	f.mu.Unlock()
	time.Sleep(b.creating)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.call("create %s %d", cfg.Name, cfg.Attempt)
	if b.createErr != nil {
		return runtime.ContainerStatus{}, b.createErr
	}
	for _, c := range f.containers {
		if c.SandboxID == sandbox && c.Config.Name == cfg.Name && c.State == runtime.ContainerRunning {
			return runtime.ContainerStatus{}, fmt.Errorf("two of %s", cfg.Name)
		}
	}
	c := &fakeContainer{ended: make(chan struct{}), ContainerStatus: runtime.ContainerStatus{ID: f.id(cfg.Name), SandboxID: sandbox, Config: cfg, State: runtime.ContainerCreated, CreatedAt: time.Now()}}
	f.containers[c.ID] = c
	return c.ContainerStatus, nil
}

func (f *fakeRuntime) StartContainer(ctx context.Context, id string, turn runtime.Turn) error {
	f.mu.Lock()
	c := f.containers[id]
	b := f.behave[c.Config.Name]
	f.mu.Unlock()
	alive := ctx
	if b.dies > 0 {
		var cancel context.CancelFunc
		alive, cancel = context.WithTimeout(ctx, b.dies)
		defer cancel()
	}
	if err := turn.Await(alive); err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if alive.Err() != nil {
			f.end(c, 128, runtime.ReasonStartError)
		}
		return err
	}
	turn.Pass()
	if b.executing > 0 {
		time.Sleep(b.executing)
	}
	if b.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.call("start %s %d", c.Config.Name, c.Config.Attempt)
	if b.startErr != nil {
		f.end(c, 128, runtime.ReasonStartError)
		c.Message = b.startErr.Error()
		return b.startErr
	}
	c.State, c.StartedAt = runtime.ContainerRunning, time.Now()
	if b.runs > 0 {
		time.AfterFunc(b.runs, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.end(c, b.exit, b.reason)
		})
	}
	return nil
}

// end is called with f.mu held.
func (f *fakeRuntime) end(c *fakeContainer, code int, reason string) {
	if c.State != runtime.ContainerRunning && c.State != runtime.ContainerCreated {
		return
	}
	if reason == "" {
		reason = map[bool]string{true: runtime.ReasonCompleted, false: runtime.ReasonError}[code == 0]
	}
	if b := f.behave[c.Config.Name]; b.leaves != "" {
		for _, m := range c.Config.Mounts {
			if m.Destination == "/dev/termination-log" {
				_ = os.WriteFile(c.Config.Annotations["hull/termination-file"], []byte(b.leaves), 0o600)
			}
		}
	}
	c.State, c.EndedAt, c.ExitCode, c.Reason = runtime.ContainerExited, time.Now(), code, reason
	close(c.ended)
	f.events <- runtime.Event{Type: runtime.ContainerEnded, SandboxID: c.SandboxID, ContainerID: c.ID}
}

// exits ends the running container of a name.
func (f *fakeRuntime) exits(name string, code int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.containers {
		if c.Config.Name == name && c.State == runtime.ContainerRunning {
			f.end(c, code, "")
		}
	}
}

func (f *fakeRuntime) StopContainer(ctx context.Context, id string, grace time.Duration) error {
	f.mu.Lock()
	c := f.containers[id]
	if c == nil || c.State != runtime.ContainerRunning {
		f.mu.Unlock()
		return nil
	}
	b := f.behave[c.Config.Name]
	f.call("stop %s %v", c.Config.Name, grace)
	f.mu.Unlock()
	kill := func(code int) func() {
		return func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.end(c, code, "")
		}
	}
	term := time.AfterFunc(b.dying, func() {
		if !b.deaf {
			kill(143)()
		}
	})
	defer term.Stop()
	hard := time.AfterFunc(grace, kill(137))
	defer hard.Stop()
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeRuntime) RemoveContainer(_ context.Context, id string) error {
	if f.removing != nil {
		f.removing(id)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.containers[id]; c != nil {
		f.call("remove %s %d", c.Config.Name, c.Config.Attempt)
		f.end(c, 137, "")
		delete(f.containers, id)
	}
	return nil
}

func (f *fakeRuntime) Containers(sandbox string) (list []runtime.ContainerStatus) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.containers {
		if c.SandboxID == sandbox {
			list = append(list, c.ContainerStatus)
		}
	}
	return list
}

func (f *fakeRuntime) Logs(_ context.Context, id string, _ runtime.LogOptions, stdout, _ io.Writer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := io.WriteString(stdout, f.behave[f.containers[id].Config.Name].says)
	return err
}

// fakeImages has images by name, and can be made to fail.
type fakeImages struct {
	mu      sync.Mutex
	rt      *fakeRuntime
	present map[string]image.Image
	remote  map[string]image.Image
	pulling time.Duration
}

func (f *fakeImages) Get(_ context.Context, ref string) (image.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if img, ok := f.present[ref]; ok {
		return img, nil
	}
	return image.Image{}, fmt.Errorf("image %q: %w", ref, errdefs.ErrNotFound)
}

func (f *fakeImages) Pull(ctx context.Context, ref string, _ image.PullOptions) (image.Image, error) {
	f.rt.mu.Lock()
	f.rt.call("pull %s", ref)
	f.rt.mu.Unlock()
	select {
	case <-time.After(f.pulling):
	case <-ctx.Done():
		return image.Image{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	img, ok := f.remote[ref]
	if !ok {
		return image.Image{}, errors.New("no such host")
	}
	f.present[ref] = img
	return img, nil
}

// fakeVolumes only counts.
type fakeVolumes struct {
	mu   sync.Mutex
	rt   *fakeRuntime
	dir  string
	err  error
	full string
	busy error // of a removal
	lost error // of what a container mounts
	have map[types.UID]bool
}

func (f *fakeVolumes) note(uid types.UID, what string, have bool) {
	f.rt.mu.Lock()
	f.rt.call("%s", what)
	f.rt.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if have {
		f.have[uid] = true
	} else {
		delete(f.have, uid)
	}
}

func (f *fakeVolumes) Make(_ context.Context, pod *v1.Pod) error {
	f.note(pod.UID, "make volumes", true)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *fakeVolumes) Claim(uid types.UID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.have[uid] = true
	return nil
}

func (f *fakeVolumes) Exceeded(context.Context, *v1.Pod) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.full, nil
}

func (f *fakeVolumes) Mounts(*v1.Pod, *v1.Container) ([]volume.Mount, error) { return nil, f.lost }

func (f *fakeVolumes) Remove(_ context.Context, uid types.UID) error {
	f.note(uid, "remove volumes", true)
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.busy
}

func (f *fakeVolumes) Forget(_ context.Context, uid types.UID) error {
	f.note(uid, "forget volumes", false)
	return nil
}

func (f *fakeVolumes) TerminationFile(_ types.UID, container string) (*os.File, error) {
	return os.CreateTemp(f.dir, "termination-"+filepath.Base(container))
}

func (f *fakeVolumes) List() (list []types.UID, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for uid := range f.have {
		list = append(list, uid)
	}
	return list, nil
}
