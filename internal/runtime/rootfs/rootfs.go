// Package rootfs makes the root of a container's file system: its image's layers, a writable one on top, and mount points
// below.
package rootfs

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/hull-pods/hull/internal/linux"
)

// Upper is the directory of a container's writable layer.
type Upper string

// files is where what the container writes is, work where the kernel prepares it.
func (u Upper) files() string { return filepath.Join(string(u), "upper") }
func (u Upper) work() string  { return filepath.Join(string(u), "work") }

// Make makes an empty one.
func (u Upper) Make() error {
	for _, d := range []string{string(u), u.files(), u.work()} {
		if err := os.Mkdir(d, 0o711); err != nil {
			return err
		}
	}
	// The upper directory is the container's / for whoever looks at its mode.
	return os.Chmod(u.files(), 0o755)
}

// Remove removes it. The container may have made anything in it: a tree that is deeper than we may have descriptors, too.
func (u Upper) Remove() error { return linux.RemoveTree(string(u)) }

// Mount mounts it on top of the layers, the topmost of which comes first. The mount is attached nowhere.
func (u Upper) Mount(layers []string) (*os.File, error) {
	if err := u.freshWork(); err != nil {
		return nil, err
	}
	rootfs, err := linux.Overlay(linux.OverlayOptions{Lower: layers, Upper: u.files(), Work: u.work(), Volatile: true})
	if err != nil {
		return nil, fmt.Errorf("mount the root file system: %w", err)
	}
	return rootfs, nil
}

// freshWork empties the work directory of an overlay that was mounted before a crash: a volatile one refuses to be mounted
// a second time, as what it had not written may be lost. Nothing had been written: the container never started.
func (u Upper) freshWork() error {
	if _, err := os.Lstat(filepath.Join(u.work(), "work", "incompat")); err != nil {
		return nil
	}
	if err := os.RemoveAll(u.work()); err != nil {
		return err
	}
	return os.Mkdir(u.work(), 0o711)
}
