// Package pod is the kubelet's part: for each Pod a worker that turns what is wanted into what runs.
//
// Deciding and doing are apart. Package plan looks at the object and at what is seen and says what to do; package status
// says what the object shall tell; package spec turns the spec into the runtime's values. All three are pure. A worker is
// one goroutine, which alone owns what is seen of its Pod and exists while there is something to look at:
//
//	store's watch ──► object ─┐                        ┌─► status ──► store
//	runtime's events ─► look ─┼─► worker: seen ─► plan ─┤
//	timer ────────────► wake ─┤                        └─► actions, each in a goroutine
//	                          └───────── results ◄──────────────────────┘
//
// # After a restart
//
// A worker remembers nothing that it cannot find again: sandboxes and containers are listed by the runtime, the attempt
// and the back-off of a container are in its record, and the object's status has what came before. Only the reasons of
// failed starts and the back-off of image pulls are lost, and made anew, as in the kubelet.
package pod

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hull-pods/hull/internal/image"
	"github.com/hull-pods/hull/internal/pod/spec"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/store"
	"github.com/hull-pods/hull/internal/volume"
)

// Sandboxes is what a worker needs of the runtime's sandboxes.
type Sandboxes interface {
	RunSandbox(ctx context.Context, cfg runtime.SandboxConfig, meanwhile func(id string)) (runtime.SandboxStatus, error)
	StopSandbox(ctx context.Context, id string) error
	RemoveSandbox(ctx context.Context, id string) error
	Sandbox(id string) (runtime.SandboxStatus, error)
	Sandboxes(owner runtime.Owner) []runtime.SandboxStatus
	Events(owner runtime.Owner) <-chan runtime.Event
}

// Containers is what a worker needs of the runtime's containers.
type Containers interface {
	CreateContainer(ctx context.Context, sandboxID string, cfg runtime.ContainerConfig) (runtime.ContainerStatus, error)
	StartContainer(ctx context.Context, id string, turn runtime.Turn) error
	StopContainer(ctx context.Context, id string, grace time.Duration) error
	RemoveContainer(ctx context.Context, id string) error
	Containers(sandboxID string) []runtime.ContainerStatus
	Logs(ctx context.Context, id string, o runtime.LogOptions, stdout, stderr io.Writer) error
}

// Images is what a worker needs of the image store.
type Images interface {
	Get(ctx context.Context, ref string) (image.Image, error)
	Pull(ctx context.Context, ref string, o image.PullOptions) (image.Image, error)
}

// Volumes is what a worker needs of the volumes.
type Volumes interface {
	Directories
	Make(ctx context.Context, pod *v1.Pod) error
	Mounts(pod *v1.Pod, c *v1.Container) ([]volume.Mount, error)
	Exceeded(ctx context.Context, pod *v1.Pod) (string, error)
	Remove(ctx context.Context, uid types.UID) error
	TerminationFile(uid types.UID, container string) (*os.File, error)
}

// Directories are Pods' own: by them a Pod is found again whose object a crash has lost.
type Directories interface {
	Claim(uid types.UID) error
	Forget(ctx context.Context, uid types.UID) error
	List() ([]types.UID, error)
}

// Config is what Pods is made of. All of it stays the caller's to close, after [Pods.Run] has returned.
type Config struct {
	Store      *store.Store
	Sandboxes  Sandboxes
	Containers Containers
	Images     Images
	Volumes    Volumes

	NodeName string          // in events
	HostIPs  func() []string // the host's own addresses, the preferred family first
	// Blocked says what on this host, none of it Hull's, drops Pods' traffic, and the way out. nil is never asked.
	Blocked func() ([]string, error)
	Options spec.Options
	Log     *slog.Logger
}

// Pods runs every Pod of the store.
type Pods struct {
	cfg    Config
	events *teller
	work   sync.WaitGroup
	// draining is not 0 once [Pods.Drain] has begun: the longest that a container then has for its end.
	draining atomic.Int64
	slots    slots // held while the kernel makes a sandbox or a container
	outlook  outlook

	mu      sync.Mutex
	workers map[types.UID]*worker
	owners  map[string]types.UID // of sandboxes

	host struct { // apart from mu: asking the kernel must hold up nobody but who wants to know
		sync.Mutex
		ips   []string
		asked time.Time
	}
}

// New makes Pods; [Pods.Run] brings them to life.
func New(cfg Config) *Pods {
	p := &Pods{
		cfg: cfg, events: newTeller(cfg.Store.Recorder("hulld", cfg.NodeName)),
		slots:   slots{free: makersPerCPU * goruntime.GOMAXPROCS(0)},
		workers: map[types.UID]*worker{}, owners: map[string]types.UID{},
	}
	p.outlook.p = p
	return p
}

// Run takes over what the runtime has, then follows the store until ctx ends. Pods go on when it returns.
func (p *Pods) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	telling := make(chan struct{})
	go p.events.run(telling)
	defer func() {
		cancel()
		p.rest()
		p.outlook.close()
		p.events.close()
		<-telling
	}()
	happened := p.cfg.Sandboxes.Events(runtime.OwnerAPI)
	found := map[types.UID][]runtime.SandboxStatus{}
	for _, s := range p.cfg.Sandboxes.Sandboxes(runtime.OwnerAPI) {
		uid := types.UID(s.Config.UID)
		found[uid] = append(found[uid], s)
	}
	for ctx.Err() == nil {
		if err := p.follow(ctx, happened, found); err != nil {
			return err
		}
	}
	return nil
}

// follow takes all Pods there are, then every change, until the watch ends. found are the sandboxes of Pods that have no
// worker yet: each goes to its worker, or with the orphans, whichever watch it is that comes so far.
func (p *Pods) follow(ctx context.Context, happened <-chan runtime.Event, found map[types.UID][]runtime.SandboxStatus) error {
	watching, cancel := context.WithCancel(ctx) // workers outlive one watch
	defer cancel()
	objects, err := p.cfg.Store.Watch(watching, store.WatchOptions{Resource: "pods", Initial: true, MarkInitial: true})
	if err != nil {
		return fmt.Errorf("watch Pods: %w", err)
	}
	listed := map[types.UID]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-objects:
			if !ok || ev.Type == watch.Error {
				return nil // it fell behind, or ctx ended: all over again
			}
			if ev.Type == watch.Bookmark {
				if listed != nil {
					p.orphans(ctx, listed, found)
				}
				listed = nil
				continue
			}
			pod := ev.Object.(*v1.Pod)
			if listed != nil {
				listed[pod.UID] = true
			}
			p.object(ctx, pod, ev.Type == watch.Deleted, found)
		case ev, ok := <-happened:
			if !ok {
				happened = nil // the runtime is closed
				continue
			}
			p.happened(ev)
		}
	}
}

// object tells the Pod's worker of a change, or makes one.
func (p *Pods) object(ctx context.Context, pod *v1.Pod, gone bool, found map[types.UID][]runtime.SandboxStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.workers[pod.UID]
	if w == nil {
		if gone {
			return
		}
		w = p.newWorker(ctx, pod, found[pod.UID], false)
		delete(found, pod.UID)
	}
	w.inbox.put(pod, gone)
}

// orphans removes what belongs to Pods that are not in the store: they were deleted by force, or while nobody looked.
func (p *Pods) orphans(ctx context.Context, listed map[types.UID]bool, found map[types.UID][]runtime.SandboxStatus) {
	uids, err := p.cfg.Volumes.List()
	if err != nil {
		p.cfg.Log.Error("Pods' directories cannot be listed", "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for uid, w := range p.workers {
		if !listed[uid] {
			w.inbox.put(nil, true)
		}
	}
	for uid := range found {
		uids = append(uids, uid)
	}
	for _, uid := range uids {
		if listed[uid] || p.workers[uid] != nil {
			continue
		}
		pod := &v1.Pod{}
		pod.UID = uid
		pod.DeletionGracePeriodSeconds = new(int64(1)) // the kubelet's patience with what is not its any more
		if s := found[uid]; len(s) > 0 {
			pod.Namespace, pod.Name = s[0].Config.Namespace, s[0].Config.Name
		}
		p.cfg.Log.Info("removing what is left of a Pod that is not in the store", "pod", pod.Name, "namespace", pod.Namespace, "uid", uid)
		p.newWorker(ctx, pod, found[uid], true).inbox.look()
	}
	clear(found)
}

// happened passes an event of the runtime on to whom it concerns. One that is not known yet will look by itself.
func (p *Pods) happened(ev runtime.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w := p.workers[p.owners[ev.SandboxID]]
	switch {
	case w == nil:
	case ev.Type == runtime.LogStalled:
		w.inbox.stall(ev)
	default:
		w.inbox.look()
	}
}

// newWorker is called with p.mu held.
func (p *Pods) newWorker(ctx context.Context, pod *v1.Pod, sandboxes []runtime.SandboxStatus, orphan bool) *worker {
	w := newWorker(p, pod, sandboxes)
	w.ended = make(chan struct{})
	w.seen.Orphan = orphan
	p.workers[pod.UID] = w
	for _, s := range sandboxes {
		p.owners[s.ID] = pod.UID
	}
	w.inbox.wake = func() {
		p.work.Go(func() {
			if w.run(ctx) {
				p.bury(w)
			}
		})
	}
	return w
}

// bury forgets a worker that has ended.
func (p *Pods) bury(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer close(w.ended)
	delete(p.workers, w.pod.UID)
	for id, uid := range p.owners {
		if uid == w.pod.UID {
			delete(p.owners, id)
		}
	}
}

// rest ends all work on Pods, and waits until nobody is at it any more.
func (p *Pods) rest() {
	p.mu.Lock()
	left := slices.Collect(maps.Values(p.workers))
	for _, w := range left {
		w.inbox.close()
	}
	p.mu.Unlock()
	p.work.Wait()
	for _, w := range left {
		w.inbox.close() // the timer too: who was at it may have set it again
		if !over(w.ended) {
			p.bury(w)
		}
	}
}

// own notes whose sandbox it is, before the runtime has anything to tell of it.
func (p *Pods) own(sandbox string, uid types.UID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owners[sandbox] = uid
}

func (p *Pods) disown(sandbox string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.owners, sandbox)
}

// hostIPsEvery is how long the host's addresses are taken for granted.
const hostIPsEvery = 10 * time.Second

func (p *Pods) addresses() []string {
	p.host.Lock()
	defer p.host.Unlock()
	if p.host.ips == nil || time.Since(p.host.asked) > hostIPsEvery {
		p.host.ips, p.host.asked = p.cfg.HostIPs(), time.Now()
	}
	return p.host.ips
}

// What the daemon gives.
var (
	_ Sandboxes  = (*runtime.Runtime)(nil)
	_ Containers = (*runtime.Runtime)(nil)
	_ Images     = (*image.Store)(nil)
	_ Volumes    = (*volume.Volumes)(nil)
)
