package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"
)

// Limited tells whether a Pod has volumes whose limit no kernel enforces: emptyDirs on disk with a sizeLimit.
func Limited(pod *v1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if vol := &pod.Spec.Volumes[i]; vol.EmptyDir != nil && !inMemory(vol) && limited(vol) {
			return true
		}
	}
	return false
}

// Exceeded says which volume of the Pod takes more than its sizeLimit, in the words of the kubelet's eviction; "" when none
// does.
func (v *Volumes) Exceeded(ctx context.Context, pod *v1.Pod) (string, error) {
	for i := range pod.Spec.Volumes {
		vol := &pod.Spec.Volumes[i]
		if vol.EmptyDir == nil || inMemory(vol) || !limited(vol) {
			continue
		}
		used, err := usage(ctx, v.diskPath(pod.UID, vol.Name))
		if err != nil {
			return "", &Error{Volume: vol.Name, Err: err}
		}
		if used > vol.EmptyDir.SizeLimit.Value() {
			return fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q. ", vol.Name, vol.EmptyDir.SizeLimit.String()), nil
		}
	}
	return "", nil
}

// maxDepth is how deep a tree is measured. What is built deeper than that is built to hide something, and counts as too much.
const maxDepth = 512

// namesAtOnce is how many names are read of a directory at a time.
const namesAtOnce = 1024

// usage is how many bytes of disk a tree takes, each file once. Containers change it meanwhile: every directory is opened
// from the one above it, no symlink is followed and no mount entered.
func usage(ctx context.Context, path string) (int64, error) {
	top, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	m := measure{ctx: ctx}
	err = m.dir(top, 0)
	return m.bytes, err
}

type measure struct {
	ctx   context.Context
	bytes int64
}

// dir adds what a directory takes, and closes it.
func (m *measure) dir(d *os.File, depth int) error {
	defer func() { _ = d.Close() }()
	if depth > maxDepth {
		m.bytes = 1 << 62
		return nil
	}
	for {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		names, err := d.Readdirnames(namesAtOnce)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := m.entry(d, name, depth); err != nil {
				return err
			}
		}
	}
}

func (m *measure) entry(d *os.File, name string, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(d.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil // it is gone
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		// Each of its names counts for a part, and none has to be remembered: a container can make millions. All of them
		// are in this tree, because no link leads from one mount into another.
		names := int64(max(st.Nlink, 1))
		m.bytes += (st.Blocks*512 + names - 1) / names
		return nil
	}
	const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV
	sub, err := openat2(d, name, unix.O_RDONLY|unix.O_DIRECTORY, resolve)
	if err != nil {
		return nil // it is gone, or another mount
	}
	m.bytes += st.Blocks * 512
	return m.dir(sub, depth+1)
}
