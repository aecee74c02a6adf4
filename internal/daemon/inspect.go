package daemon

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/api/v1alpha1"
	"github.com/hull-pods/hull/internal/runtime"
	"github.com/hull-pods/hull/internal/store"
)

// sandboxes shows Pods as the kernel has them.
type sandboxes struct{ d *daemon }

// namespaces are those that /proc shows of each process.
var namespaces = []string{"net", "ipc", "uts", "mnt", "pid", "user", "cgroup"}

// Inspect is the Pod's newest sandbox and its containers. Namespaces are read from /proc now, not remembered.
func (s sandboxes) Inspect(ctx context.Context, namespace, name string, birth bool) (v1alpha1.Sandbox, error) {
	pod, err := store.Get[*corev1.Pod](s.d.objects, namespace, name)
	if err != nil {
		return v1alpha1.Sandbox{}, err
	}
	var newest *runtime.SandboxStatus
	for _, sb := range s.d.runtime.Sandboxes(runtime.OwnerAPI) {
		if types.UID(sb.Config.UID) == pod.UID {
			newest = &sb
		}
	}
	if newest == nil {
		return v1alpha1.Sandbox{}, fmt.Errorf("pod %q has no sandbox yet: %w", name, errdefs.ErrNotFound)
	}
	out := v1alpha1.Sandbox{
		Meta: v1alpha1.Of("Sandbox"), Namespace: namespace, Name: name, UID: string(pod.UID), ID: newest.ID, State: string(newest.State),
		CreatedAt: newest.CreatedAt, Cgroup: s.d.cgroups.Load(newest.Config.CgroupParent).Path(),
		Interface: newest.Interface, HostInterface: newest.HostVeth,
		Infra: v1alpha1.Process{
			Name: "(infra)", ID: newest.ID, Attempt: newest.Config.Attempt, State: string(newest.State), PID: newest.PID,
			Cgroup: s.d.cgroups.Load(newest.Config.CgroupParent).Path(), StartedAt: &newest.CreatedAt,
		},
		Containers: []v1alpha1.Process{},
	}
	for _, ip := range newest.IPs {
		out.IPs = append(out.IPs, ip.String())
	}
	look(&out.Infra)
	for _, c := range s.d.runtime.Containers(newest.ID) {
		out.Containers = append(out.Containers, s.process(&c))
	}
	// In the manifest's order: those that start side by side are made in any.
	slices.SortStableFunc(out.Containers, func(a, b v1alpha1.Process) int { return place(pod, a.Name) - place(pod, b.Name) })
	if birth {
		if err := s.births(ctx, &out); err != nil {
			return v1alpha1.Sandbox{}, err
		}
	}
	out.Volumes = s.volumes(pod)
	return out, nil
}

func place(pod *corev1.Pod, container string) int {
	named := func(c corev1.Container) bool { return c.Name == container }
	if i := slices.IndexFunc(pod.Spec.InitContainers, named); i >= 0 {
		return i
	}
	return len(pod.Spec.InitContainers) + slices.IndexFunc(pod.Spec.Containers, named)
}

func (s sandboxes) births(ctx context.Context, sb *v1alpha1.Sandbox) (err error) {
	if sb.Infra.Birth, err = s.d.runtime.Birth(ctx, sb.ID); err != nil {
		return err
	}
	for i := range sb.Containers {
		if sb.Containers[i].Birth, err = s.d.runtime.Birth(ctx, sb.Containers[i].ID); err != nil {
			return err
		}
	}
	return nil
}

func (s sandboxes) process(c *runtime.ContainerStatus) v1alpha1.Process {
	p := v1alpha1.Process{
		Name: c.Config.Name, ID: c.ID, Attempt: c.Config.Attempt, State: string(c.State), PID: c.PID,
		Cgroup: s.d.cgroups.Load(c.Cgroup).Path(), Reason: c.Reason, Message: c.Message, Image: c.Config.Image, LogPath: c.LogPath,
	}
	if !c.StartedAt.IsZero() {
		p.StartedAt = &c.StartedAt
	}
	if !c.EndedAt.IsZero() {
		p.EndedAt, p.ExitCode = &c.EndedAt, &c.ExitCode
	}
	look(&p)
	return p
}

// look reads the namespaces of a process that lives; one that ends meanwhile has none.
func look(p *v1alpha1.Process) {
	if p.PID == 0 {
		return
	}
	p.Namespaces = map[string]uint64{}
	for _, ns := range namespaces {
		if n, err := inode(p.PID, ns); err == nil {
			p.Namespaces[ns] = n
		}
	}
}

func (s sandboxes) volumes(pod *corev1.Pod) []v1alpha1.Volume {
	var list []v1alpha1.Volume
	for _, l := range s.d.volumes.Locations(pod) {
		v := v1alpha1.Volume{Name: l.Name, Kind: l.Kind, Path: l.Path}
		for _, set := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
			for i := range set {
				for _, m := range set[i].VolumeMounts {
					if m.Name == l.Name {
						v.Mounts = append(v.Mounts, v1alpha1.VolumeMount{
							Container: set[i].Name, Path: path.Clean(m.MountPath), SubPath: m.SubPath, ReadOnly: m.ReadOnly,
						})
					}
				}
			}
		}
		list = append(list, v)
	}
	return list
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
