package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/linux"
)

// Mount is one mount of a volume into a container. File is what to mount, opened for it alone; whoever gets it closes it.
type Mount struct {
	File              *os.File
	Destination       string
	ReadOnly          bool
	RecursiveReadOnly bool
	Propagation       string // "", "HostToContainer", "Bidirectional"
}

// Mounts opens everything that a container mounts, in the order of its spec. The volumes must have been made.
func (v *Volumes) Mounts(pod *v1.Pod, c *v1.Container) (_ []Mount, err error) {
	list := make([]Mount, 0, len(c.VolumeMounts))
	defer func() {
		if err != nil {
			for _, m := range list {
				_ = m.File.Close()
			}
		}
	}()
	for i := range c.VolumeMounts {
		m, err := v.mount(pod, c, &c.VolumeMounts[i])
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func (v *Volumes) mount(pod *v1.Pod, c *v1.Container, vm *v1.VolumeMount) (Mount, error) {
	m := Mount{Destination: vm.MountPath, ReadOnly: vm.ReadOnly}
	if !filepath.IsAbs(m.Destination) {
		m.Destination = "/" + m.Destination
	}
	if p := vm.MountPropagation; p != nil && *p != v1.MountPropagationNone {
		m.Propagation = string(*p)
	}
	rro, err := recursiveReadOnly(vm)
	if err != nil {
		return Mount{}, fmt.Errorf("failed to resolve recursive read-only mode: %w", err)
	}
	m.RecursiveReadOnly = rro
	if vm.SubPathExpr != "" {
		return Mount{}, fmt.Errorf("subPathExpr of volumeMount %q of container %q cannot be expanded here", vm.Name, c.Name)
	}
	i := slices.IndexFunc(pod.Spec.Volumes, func(vol v1.Volume) bool { return vol.Name == vm.Name })
	if i < 0 {
		return Mount{}, fmt.Errorf("cannot find volume %q to mount into container %q", vm.Name, c.Name)
	}
	if m.File, err = v.source(pod, c, i, vm); err != nil {
		return Mount{}, err
	}
	if err := checkPropagation(m.File, m.Propagation); err != nil {
		_ = m.File.Close()
		return Mount{}, err
	}
	return m, nil
}

// source opens what of a volume is mounted.
func (v *Volumes) source(pod *v1.Pod, c *v1.Container, i int, vm *v1.VolumeMount) (*os.File, error) {
	root, err := v.open(pod, &pod.Spec.Volumes[i])
	if err != nil || vm.SubPath == "" {
		return root, err
	}
	defer func() { _ = root.Close() }()
	return v.subPath(root, c.Name, vm)
}

// recursiveReadOnly tells whether a mount is read-only all the way down. Every kernel that Hull runs on can do it.
func recursiveReadOnly(vm *v1.VolumeMount) (bool, error) {
	mode := v1.RecursiveReadOnlyDisabled
	if vm.RecursiveReadOnly != nil {
		mode = *vm.RecursiveReadOnly
	}
	switch {
	case mode == v1.RecursiveReadOnlyDisabled:
		return false, nil
	case mode != v1.RecursiveReadOnlyIfPossible && mode != v1.RecursiveReadOnlyEnabled:
		return false, fmt.Errorf("unknown recursive read-only mode %q", mode)
	case !vm.ReadOnly:
		return false, fmt.Errorf("volume %q requested recursive read-only mode, but it is not read-only", vm.Name)
	case vm.MountPropagation != nil && *vm.MountPropagation != v1.MountPropagationNone:
		return false, fmt.Errorf("volume %q requested recursive read-only mode, but it is not compatible with propagation %q", vm.Name, *vm.MountPropagation)
	}
	return true, nil
}

// open opens a volume's root.
func (v *Volumes) open(pod *v1.Pod, vol *v1.Volume) (*os.File, error) {
	switch {
	case vol.HostPath != nil:
		return openHostPath(vol.HostPath)
	case inMemory(vol):
		return linux.OpenSource(v.memoryPath(pod, vol))
	}
	return linux.OpenSource(v.diskPath(pod.UID, vol.Name))
}

// subPath opens a part of a volume, and makes it first if it is not there. What a user may hear of an error says nothing of
// the host; the log has the rest.
func (v *Volumes) subPath(root *os.File, container string, vm *v1.VolumeMount) (*os.File, error) {
	if filepath.IsAbs(vm.SubPath) {
		return nil, fmt.Errorf("error SubPath `%s` must not be an absolute path", vm.SubPath)
	}
	if slices.Contains(strings.Split(vm.SubPath, "/"), "..") {
		return nil, fmt.Errorf("unable to provision SubPath `%s`: must not contain '..'", vm.SubPath)
	}
	f, err := openBeneath(root, vm.SubPath, unix.O_PATH)
	if errors.Is(err, unix.ENOENT) {
		if err := makeBeneath(root, vm.SubPath); err != nil {
			v.cfg.Log.Warn("a subPath is not made", "container", container, "volumeMount", vm.Name, "err", err)
			return nil, fmt.Errorf("failed to create subPath directory for volumeMount %q of container %q", vm.Name, container)
		}
		f, err = openBeneath(root, vm.SubPath, unix.O_PATH)
	}
	if err != nil {
		v.cfg.Log.Warn("a subPath is not opened", "container", container, "volumeMount", vm.Name, "err", err)
		return nil, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q", vm.Name, container)
	}
	return f, nil
}

// tries bounds how often a lookup is repeated that a container disturbs by renaming things meanwhile.
const tries = 256

// openBeneath opens a path below dir. Symlinks are followed as long as they stay below.
func openBeneath(dir *os.File, path string, flags uint64) (*os.File, error) {
	return openat2(dir, path, flags, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_MAGICLINKS)
}

// openat2 is [linux.OpenIn] and the like for a part of a volume: the file's name is its path on the host, which a mount's source is
// told by.
func openat2(dir *os.File, path string, flags, resolve uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: resolve}
	for n := 1; ; n++ {
		fd, err := unix.Openat2(int(dir.Fd()), path, &how)
		if err == nil {
			return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), path)), nil
		}
		if again := errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN); !again || n >= tries {
			return nil, &os.PathError{Op: "open", Path: filepath.Join(dir.Name(), path), Err: err}
		}
	}
}

// makeBeneath makes the directories of a path below root that are not there, with root's own mode. Those that are may be
// reached through symlinks; what is made is not.
func makeBeneath(root *os.File, path string) error {
	info, err := root.Stat()
	if err != nil {
		return err
	}
	names := slices.DeleteFunc(strings.Split(path, "/"), func(n string) bool { return n == "" || n == "." })
	at, made := root, 0
	for n := len(names) - 1; n > 0; n-- { // the longest part that exists
		f, err := openBeneath(root, strings.Join(names[:n], "/"), unix.O_PATH|unix.O_DIRECTORY)
		if err == nil {
			at, made = f, n
			break
		}
		if !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	for _, name := range names[made:] {
		next, err := makeOne(at, name, info.Mode())
		if at != root {
			_ = at.Close()
		}
		if err != nil {
			return err
		}
		at = next
	}
	if at != root {
		return at.Close()
	}
	return nil
}

func makeOne(dir *os.File, name string, mode os.FileMode) (*os.File, error) {
	if err := unix.Mkdirat(int(dir.Fd()), name, uint32(mode.Perm())); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, &os.PathError{Op: "mkdir", Path: filepath.Join(dir.Name(), name), Err: err}
	}
	const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS
	f, err := openat2(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, resolve)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(mode & (os.ModePerm | os.ModeSetgid | os.ModeSetuid | os.ModeSticky)); err != nil { // whatever the umask is
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
