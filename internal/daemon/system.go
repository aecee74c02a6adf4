package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
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
	left, err := s.d.runtime.Leftovers(ctx)
	if err != nil {
		return nil, err
	}
	var found []v1alpha1.Finding
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

// hostIPs are this host's own addresses: the one of the default route first, as the kubelet chooses it.
func hostIPs() []string {
	var ips []string
	// No packet is sent: connecting a datagram socket only chooses the route.
	for _, target := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		conn, err := net.Dial("udp", target)
		if err != nil {
			continue
		}
		if a, ok := conn.LocalAddr().(*net.UDPAddr); ok && !a.IP.IsLoopback() {
			ips = append(ips, a.IP.String())
		}
		_ = conn.Close()
	}
	if len(ips) > 0 {
		return ips
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && n.IP.IsGlobalUnicast() && !strings.HasPrefix(n.IP.String(), "10.88.") {
			ips = append(ips, n.IP.String())
		}
	}
	if len(ips) == 0 {
		return []string{"127.0.0.1"} // a host with no network at all
	}
	return ips
}

// inode is the number by which namespaces are told apart.
func inode(pid int, name string) (uint64, error) {
	var st unix.Stat_t
	path := fmt.Sprintf("/proc/%d/ns/%s", pid, name)
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return st.Ino, nil
}
