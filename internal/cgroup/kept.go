package cgroup

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
)

// fpKeep is hit when each kept group of each hierarchy has been made. Close takes them back, of a killed Hull the next one's.
var fpKeep = failpoint.New("cgroup.keep")

// Keep makes the groups that stay while the Tree is open, so that the first Pod in one of them does not wait for it.
func (t *Tree) Keep() error {
	t.prune.RLock()
	defer t.prune.RUnlock()
	for _, h := range t.hierarchies {
		for _, name := range t.kept {
			if err := t.makeParents(h, filepath.Join(h.root, t.parent, name)); err != nil {
				return err
			}
			if err := fpKeep.Hit(); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close removes the kept groups, and the parent, as far as nothing is in them any more.
func (t *Tree) Close() error {
	t.prune.Lock()
	defer t.prune.Unlock()
	for _, h := range t.places {
		top := filepath.Join(h.root, t.parent)
		for _, name := range append(slices.Clone(t.kept), "") { // the parent last
			if _, err := rmdirEmpty(filepath.Join(top, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// keeps tells whether a directory of a hierarchy stays although it is empty.
func (t *Tree) keeps(h hierarchy, dir string) bool {
	name, below := strings.CutPrefix(dir, filepath.Join(h.root, t.parent)+"/")
	return below && slices.Contains(t.kept, name)
}

// rmdirEmpty removes a group in which nothing is, and tells whether it has gone.
func rmdirEmpty(dir string) (gone bool, err error) {
	switch err := unix.Rmdir(dir); err {
	case nil, unix.ENOENT:
		return true, nil
	case unix.EBUSY, unix.ENOTEMPTY:
		return false, nil
	default:
		return false, fmt.Errorf("remove cgroup %s: %w", dir, err)
	}
}
