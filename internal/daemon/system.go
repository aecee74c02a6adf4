package daemon

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/store"
)

// system is the daemon as a whole, for the API.
type system struct{ d *daemon }

func (s system) Info(ctx context.Context) (v1alpha1.Info, error) {
	d := s.d
	pods, _, err := store.List[*corev1.Pod](d.objects, "", nil)
	if err != nil {
		return v1alpha1.Info{}, err
	}
	images, err := d.images.List(ctx)
	if err != nil {
		return v1alpha1.Info{}, err
	}
	info := v1alpha1.Info{
		Meta: v1alpha1.Of("Info"), HullVersion: d.cfg.version, Node: d.cfg.nodeName, Instance: d.cfg.instance(),
		Root: d.cfg.root, State: d.cfg.state, PID: os.Getpid(), KeeperPID: os.Getppid(), StartedAt: d.started,
		Kernel: kernel(), Cgroups: d.cgroups.Version(), Pods: len(pods), Images: len(images), MemoryBytes: memoryCapacity(),
	}
	for _, sb := range d.runtime.Sandboxes(runtime.OwnerAPI) {
		info.Containers += len(d.runtime.Containers(sb.ID))
	}
	v4, v6 := d.network.Pools()
	if v4.IsValid() {
		info.IPv4 = v4.String()
	}
	if v6.IsValid() {
		info.IPv6 = v6.String()
	}
	return info, nil
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// Check looks at what the kernel has that nobody owns, and at what keeps Pods from talking.
func (s system) Check(ctx context.Context, repair bool) ([]v1alpha1.Finding, error) {
	left, unseen := s.d.runtime.Leftovers(ctx)
	dead, err := s.d.network.Leftovers(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range dead {
		left = append(left, runtime.Leftover(l))
	}
	var found []v1alpha1.Finding
	if unseen != nil {
		found = append(found, v1alpha1.Finding{What: fmt.Sprintf("not everything can be looked at: %v", unseen)})
	}
	for _, l := range left {
		f := v1alpha1.Finding{What: l.What + " has no owner", Advice: "hull system check --repair removes it"}
		if repair {
			if err := l.Remove(ctx); err != nil {
				f.Error = err.Error()
			} else {
				f.Repaired = true
			}
		}
		found = append(found, f)
	}
	if repair {
		if err := s.d.network.Repair(ctx); err != nil {
			found = append(found, v1alpha1.Finding{What: "the network", Error: err.Error()})
		}
	}
	problems, err := s.d.network.Check(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		found = append(found, v1alpha1.Finding{What: p})
	}
	return found, nil
}

// Drain is for a machine that goes down: the next hulld brings the Pods back.
func (s system) Drain(ctx context.Context, patience time.Duration) error {
	return s.d.pods.Drain(ctx, patience)
}

// settleLimit is how long a stop waits for Pods that have left the store, and not yet the kernel.
const settleLimit = time.Minute

// Stop begins the end of hulld. No Pod runs any more: what this Hull has made for all of them goes too.
func (s system) Stop(ctx context.Context) error {
	settling, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if err := s.d.pods.Settle(settling); err != nil {
		return err
	}
	s.d.purge.Store(true)
	s.d.stop(errStopped)
	return nil
}
