package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// List names every group of this Hull that exists in any hierarchy, the deepest first. The parent itself is not in it, nor are
// the groups that are kept.
func (t *Tree) List() ([]string, error) {
	in := make([][]string, len(t.places))
	var walks errgroup.Group
	for i, h := range t.places {
		walks.Go(func() error {
			return below(filepath.Join(h.root, t.parent), "", func(path string) { in[i] = append(in[i], path) })
		})
	}
	if err := walks.Wait(); err != nil {
		return nil, fmt.Errorf("list cgroups: %w", err)
	}
	list := slices.DeleteFunc(slices.Concat(in...), func(path string) bool { return slices.Contains(t.kept, path) })
	slices.SortFunc(list, func(a, b string) int {
		if d := strings.Count(b, "/") - strings.Count(a, "/"); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(list), nil
}

// below adds every directory below one, by its path from the top. Those that end meanwhile are left out.
func below(top, path string, add func(string)) error {
	entries, err := os.ReadDir(filepath.Join(top, path))
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		child := filepath.Join(path, e.Name())
		add(child)
		if info, err := e.Info(); err != nil || leaf(info) {
			continue
		}
		if err := below(top, child, add); err != nil {
			return err
		}
	}
	return nil
}

// leaf tells whether a directory certainly has no other in it: each would be one more link. To read it would be dear, as a
// group has dozens of files.
func leaf(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 2
}
