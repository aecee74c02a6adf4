package volume

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
	if err := linux.RemoveTree(filepath.Join(v.disk(uid), "volumes")); err != nil {
		return fmt.Errorf("remove volumes: %w", err)
	}
	return nil
}

// Forget removes everything that there is of the Pod: [Volumes.Remove], and the rest.
func (v *Volumes) Forget(ctx context.Context, uid types.UID) error {
	if err := v.Remove(ctx, uid); err != nil {
		return err
	}
	if err := linux.RemoveTree(v.disk(uid)); err != nil {
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
	return linux.RemoveTree(base)
}
