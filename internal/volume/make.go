package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/resource"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/undo"
)

var (
	fpDir   = failpoint.New("volume.dir")
	fpLeaf  = failpoint.New("volume.leaf")
	fpTmpfs = failpoint.New("volume.tmpfs")
)

// maker carries what one Make has done so far.
type maker struct {
	back *undo.Stack
}

func (v *Volumes) makeAll(ctx context.Context, pod *v1.Pod) (err error) {
	var back undo.Stack
	defer back.Run(ctx, &err)
	m := &maker{back: &back}
	for i := range pod.Spec.Volumes {
		vol := &pod.Spec.Volumes[i]
		if err := ctx.Err(); err != nil {
			return err // the Pod ends
		}
		if err := v.makeVolume(pod, vol, m); err != nil {
			return &Error{Volume: vol.Name, Err: err}
		}
	}
	back.Release()
	return nil
}

// dir makes a directory of ours and those above it, below base, unless they are there.
func (m *maker) dir(base, path string) error {
	there, err := exists(path)
	if err != nil || there {
		return err
	}
	if parent := filepath.Dir(path); parent != base {
		if err := m.dir(base, parent); err != nil {
			return err
		}
	}
	if err := m.back.Push(fpDir, "remove "+path, func(context.Context) error { return linux.RemoveTree(path) }); err != nil {
		return err
	}
	return os.Mkdir(path, 0o711)
}

// leaf makes the directory of a volume, for everybody to write in, and for the Pod's fsGroup. It gets its name when it is
// finished: one that is there is right, whenever we died.
func (m *maker) leaf(base, path string, pod *v1.Pod) error {
	there, err := exists(path)
	if err != nil || there {
		return err
	}
	if err := m.dir(base, filepath.Dir(path)); err != nil {
		return err
	}
	unfinished := filepath.Join(filepath.Dir(path), ".new-"+filepath.Base(path))
	if err := m.back.Push(fpLeaf, "remove "+path, func(context.Context) error {
		return errors.Join(linux.RemoveTree(unfinished), linux.RemoveTree(path))
	}); err != nil {
		return err
	}
	if err := os.Mkdir(unfinished, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	mode := os.FileMode(0o777)
	if gid, ok := fsGroup(pod); ok {
		mode |= os.ModeSetgid
		if err := os.Lchown(unfinished, -1, gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(unfinished, mode); err != nil { // whatever the umask is
		return err
	}
	return os.Rename(unfinished, path)
}

func fsGroup(pod *v1.Pod) (int, bool) {
	sc := pod.Spec.SecurityContext
	if sc == nil || sc.FSGroup == nil {
		return 0, false
	}
	return int(*sc.FSGroup), true
}

func (v *Volumes) diskPath(uid types.UID, name string) string {
	return filepath.Join(v.disk(uid), "volumes", name)
}

// alone tells whether a volume in memory shares its tmpfs with no other by having a limit of its own: where a Pod has
// several such volumes, a limit holds for one alone. A Pod with one needs no more than the one tmpfs.
func alone(pod *v1.Pod, vol *v1.Volume) bool {
	n := 0
	for i := range pod.Spec.Volumes {
		if inMemory(&pod.Spec.Volumes[i]) {
			n++
		}
	}
	return n > 1 && limited(vol)
}

func limited(vol *v1.Volume) bool {
	l := vol.EmptyDir.SizeLimit
	return l != nil && l.Sign() > 0
}

func (v *Volumes) memoryPath(pod *v1.Pod, vol *v1.Volume) string {
	if alone(pod, vol) {
		return filepath.Join(v.memory(pod.UID), "own", vol.Name)
	}
	return filepath.Join(v.memory(pod.UID), "shared", vol.Name)
}

func (v *Volumes) makeMemory(pod *v1.Pod, vol *v1.Volume, m *maker) error {
	path := v.memoryPath(pod, vol)
	options := []linux.Param{linux.KeyValue("size", strconv.FormatInt(memorySize(pod, vol), 10))}
	if !alone(pod, vol) {
		if err := m.tmpfs(v.cfg.State, filepath.Dir(path), append(options, linux.KeyValue("mode", "0711"))); err != nil {
			return err
		}
		return m.leaf(v.cfg.State, path, pod)
	}
	mode := "0777"
	if gid, ok := fsGroup(pod); ok {
		mode = "2777"
		options = append(options, linux.KeyValue("gid", strconv.Itoa(gid)))
	}
	return m.tmpfs(v.cfg.State, path, append(options, linux.KeyValue("mode", mode)))
}

// tmpfs mounts one on a directory that it makes, unless it is there.
func (m *maker) tmpfs(base, point string, options []linux.Param) error {
	if err := m.dir(base, point); err != nil {
		return err
	}
	mounted, err := isMountPoint(point)
	if err != nil || mounted {
		return err
	}
	if err := m.back.Push(fpTmpfs, "unmount "+point, func(context.Context) error { return linux.Detach(point) }); err != nil {
		return err
	}
	const attrs = unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID
	// Swapping such a volume out would put on disk what was meant to be in memory. Linux 6.4 and later can forbid it.
	mnt, err := linux.NewMount("tmpfs", "hull-volume", attrs, append(options, linux.Flag("noswap"))...)
	if errors.Is(err, unix.EINVAL) {
		mnt, err = linux.NewMount("tmpfs", "hull-volume", attrs, options...)
	}
	if err != nil {
		return err
	}
	defer func() { _ = mnt.Close() }()
	return linux.AttachPath(mnt, point)
}

// isMountPoint tells whether something is mounted on a directory.
func isMountPoint(path string) (bool, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &st); err != nil {
		return false, fmt.Errorf("stat %s: %w", path, err)
	}
	return st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
}

// memorySize is how large a tmpfs may grow: the volume's own limit, the memory limit of the Pod if every container has
// one, or all of the machine's memory; whichever is the least. A shared tmpfs has the one limit that there may be.
func memorySize(pod *v1.Pod, vol *v1.Volume) int64 {
	var info unix.Sysinfo_t
	size := int64(1 << 62)
	if err := unix.Sysinfo(&info); err == nil {
		size = int64(info.Totalram) * int64(info.Unit)
	}
	all := true
	for _, list := range [][]v1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			all = all && !list[i].Resources.Limits.Memory().IsZero()
		}
	}
	limits := resource.PodLimits(pod, resource.PodResourcesOptions{})
	if limit := limits.Memory().Value(); all && limit > 0 {
		size = min(size, limit)
	}
	if limited(vol) {
		size = min(size, vol.EmptyDir.SizeLimit.Value())
	}
	return size
}
