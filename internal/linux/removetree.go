package linux

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// RemoveTree removes a directory that a container may have filled. No symlink is followed, no mount is entered: one that is
// found inside is unmounted. Flags that forbid a removal, as those of chattr +i, are taken. Depth does not matter either:
// directories are moved up to the top before they are emptied, so that neither stack nor descriptors grow with the tree. The
// directory itself and those above it must be out of reach of containers.
func RemoveTree(path string) error {
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
	return Remove(path)
}

// Remove removes a file that a container may write, or a directory that is empty, and takes the flags that forbid it. That there is
// none is no error. The directories above must be out of reach of containers.
func Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, unix.EPERM) {
		dir, derr := os.Open(filepath.Dir(path))
		if derr != nil {
			return errors.Join(err, derr)
		}
		defer func() { _ = dir.Close() }()
		if err := unbindBoth(dir, filepath.Base(path), err); err != nil {
			return err
		}
		err = os.Remove(path)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

type remover struct {
	top    *os.File
	serial int // for names of what is moved up
}

const (
	namesAtOnce = 1024 // names that are read of a directory at a time
	busyTries   = 256  // of one entry, which somebody fills or mounts on again
)

// empty removes everything in dir, until reading it anew finds nothing. Directories that are not empty are emptied of files,
// and their directories moved to the top; in the top itself they are descended into.
func (r *remover) empty(dir *os.File) error {
	for {
		if _, err := dir.Seek(0, io.SeekStart); err != nil {
			return err
		}
		names, err := dir.Readdirnames(namesAtOnce)
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
	for range busyTries {
		err := unix.Unlinkat(fd, name, 0)
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case errors.Is(err, unix.EBUSY):
			if err := unmountAt(dir, name); err != nil {
				return err
			}
			continue
		case errors.Is(err, unix.EPERM):
			if err := unbindBoth(dir, name, err); err != nil {
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
			err = unmountAt(dir, name)
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

// unbindBoth takes the flags that forbid the removal of an entry of dir: its own, and the directory's. Are there none, the
// refusal stands.
func unbindBoth(dir *os.File, name string, refusal error) error {
	in, err := unbindOpen(dir)
	if err != nil {
		return err
	}
	its, err := unbind(dir, name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err == nil && !in && !its {
		err = refusal
	}
	return err
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
	sub, err := openResolved(dir, name, unix.O_RDONLY|unix.O_DIRECTORY, resolve)
	if errors.Is(err, unix.EXDEV) {
		return unmountAt(dir, name)
	}
	if err != nil {
		return err
	}
	defer func() { _ = sub.Close() }()
	return r.empty(sub)
}

// unmountAt takes away what is mounted on an entry of dir. A privileged container can have mounted there what is not ours to
// remove.
func unmountAt(dir *os.File, name string) error {
	f, err := openResolved(dir, name, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if err := unix.Unmount("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount: %w", err)
	}
	return nil
}
