package volume

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/linux"
)

var (
	fpRemoveMemory = failpoint.New("volume.remove.memory")
	fpRemoveDisk   = failpoint.New("volume.remove.disk")
)

// Remove removes the Pod's volumes and what is in them. Termination messages stay. Nothing of the Pod may run any more. What
// is not there is no error.
func (v *Volumes) Remove(_ context.Context, uid types.UID) error {
	if err := plain(string(uid)); err != nil {
		return fmt.Errorf("remove volumes: %w", err)
	}
	if err := fpRemoveMemory.Hit(); err != nil {
		return err
	}
	if err := v.removeMemory(uid); err != nil {
		return fmt.Errorf("remove volumes in memory: %w", err)
	}
	if err := fpRemoveDisk.Hit(); err != nil {
		return err
	}
	if err := removeTree(filepath.Join(v.disk(uid), "volumes")); err != nil {
		return fmt.Errorf("remove volumes: %w", err)
	}
	return nil
}

// Forget removes everything that there is of the Pod: [Volumes.Remove], and the rest.
func (v *Volumes) Forget(ctx context.Context, uid types.UID) error {
	if err := v.Remove(ctx, uid); err != nil {
		return err
	}
	if err := removeTree(v.disk(uid)); err != nil {
		return fmt.Errorf("remove the Pod's directory: %w", err)
	}
	return nil
}

// removeMemory unmounts the Pod's tmpfs. What is below the mount points is ours alone, and empty.
func (v *Volumes) removeMemory(uid types.UID) error {
	base := v.memory(uid)
	if there, err := exists(base); err != nil || !there {
		return err
	}
	points := []string{filepath.Join(base, "shared")}
	entries, err := os.ReadDir(filepath.Join(base, "own"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		points = append(points, filepath.Join(base, "own", e.Name()))
	}
	for _, p := range points {
		if err := linux.Detach(p); err != nil {
			return err
		}
	}
	return removeTree(base)
}

// removeTree removes a directory that a container may have filled. No symlink is followed, no mount is entered: one that is
// found inside is unmounted. Depth does not matter either: directories are moved up to the top before they are emptied, so
// that neither stack nor descriptors grow with the tree. The directory itself and those above it must be out of reach of
// containers.
func removeTree(path string) error {
	top, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = top.Close() }()
	r := remover{top: top}
	if err := r.empty(top); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

type remover struct {
	top    *os.File
	serial int // for names of what is moved up
}

// chunk is how many names are read at a time.
const chunk = 1024

// empty removes everything in dir, until reading it anew finds nothing. Directories that are not empty are emptied of files,
// and their directories moved to the top; in the top itself they are descended into.
func (r *remover) empty(dir *os.File) error {
	for {
		if _, err := dir.Seek(0, io.SeekStart); err != nil {
			return err
		}
		names, err := dir.Readdirnames(chunk)
		if errors.Is(err, io.EOF) || (err == nil && len(names) == 0) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := r.remove(dir, name); err != nil {
				return fmt.Errorf("remove %s: %w", filepath.Join(dir.Name(), name), err)
			}
		}
	}
}

// remove removes one entry of dir.
func (r *remover) remove(dir *os.File, name string) error {
	fd := int(dir.Fd())
	for range tries {
		err := unix.Unlinkat(fd, name, 0)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case errors.Is(err, unix.EBUSY):
			if err := unmount(dir, name); err != nil {
				return err
			}
			continue
		case !errors.Is(err, unix.EISDIR):
			return err
		}
		err = unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case errors.Is(err, unix.EBUSY):
			err = unmount(dir, name)
		case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST):
			if dir != r.top {
				if err = r.moveUp(dir, name); !errors.Is(err, unix.EXDEV) {
					return err
				}
			}
			err = r.descend(dir, name)
		}
		if err != nil {
			return err
		}
	}
	return errors.New("it is filled faster than it can be emptied")
}

// moveUp gives a directory a new name in the top, where it is emptied later.
func (r *remover) moveUp(dir *os.File, name string) error {
	for {
		r.serial++
		err := unix.Renameat2(int(dir.Fd()), name, int(r.top.Fd()), ".removed-"+strconv.Itoa(r.serial), unix.RENAME_NOREPLACE)
		if !errors.Is(err, unix.EEXIST) {
			return err
		}
	}
}

// descend empties a directory of the top.
func (r *remover) descend(dir *os.File, name string) error {
	const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV
	sub, err := openat2(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, resolve)
	if errors.Is(err, unix.EXDEV) {
		return unmount(dir, name)
	}
	if err != nil {
		return err
	}
	defer func() { _ = sub.Close() }()
	return r.empty(sub)
}

// unmount takes away what is mounted on an entry of dir. A privileged container can have mounted there what is not ours to
// remove.
func unmount(dir *os.File, name string) error {
	f, err := openat2(dir, name, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := unix.Unmount("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount: %w", err)
	}
	return nil
}
