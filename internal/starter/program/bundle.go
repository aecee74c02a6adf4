package program

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter"
)

// bundle is a directory that an OCI program makes a container from.
type bundle struct {
	dir      string
	attached []string
}

// fill puts the root on rootfs, and each source that the caller has opened on a place of its own, as an OCI program takes
// paths alone; and writes config.json accordingly.
func (b *bundle) fill(r starter.Request) error {
	if err := b.attach(r.Rootfs, "rootfs", true); err != nil {
		return err
	}
	spec := *r.Spec
	spec.Root = &oci.Root{Path: "rootfs", Readonly: r.Spec.Root != nil && r.Spec.Root.Readonly}
	spec.Mounts = nil
	for i, m := range r.Spec.Mounts {
		if f := r.Sources[m.Destination]; f != nil {
			name := filepath.Join("sources", strconv.Itoa(i))
			if err := b.source(f, name); err != nil {
				return fmt.Errorf("mount on %s: %w", m.Destination, err)
			}
			m.Source = filepath.Join(b.dir, name)
		}
		spec.Mounts = append(spec.Mounts, m)
	}
	return starter.WriteConfig(b.dir, &spec)
}

func (b *bundle) source(f *os.File, name string) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("look at the source: %w", err)
	}
	dir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	tree, err := linux.CloneTree(f, dir) // nothing is mounted below a file, and to look for it takes long among many mounts
	if err != nil {
		return err
	}
	defer func() { _ = tree.Close() }()
	return b.attach(tree, name, dir)
}

func (b *bundle) attach(mount *os.File, name string, dir bool) error {
	at := filepath.Join(b.dir, name)
	parent := at
	if !dir {
		parent = filepath.Dir(at)
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("make the bundle: %w", err)
	}
	if !dir {
		if err := os.WriteFile(at, nil, 0o600); err != nil {
			return fmt.Errorf("make the bundle: %w", err)
		}
	}
	b.attached = append(b.attached, at)
	return linux.AttachPath(mount, at)
}

// detach takes everything away from the host's tree again.
func (b *bundle) detach() error {
	var errs []error
	for _, at := range b.attached {
		errs = append(errs, linux.Detach(at))
	}
	return errors.Join(errs...)
}
