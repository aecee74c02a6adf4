package starter

import (
	"errors"
	"fmt"
	"os"

	"github.com/containerd/continuity/fs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// mount opens what the program cannot: the source of a bind mount, the cgroups that are shown, a file system with paths of the host.
func (n *Native) mount(d *delivery, r Request, m oci.SpecMount, f *compile.Facts) error {
	o, err := compile.ParseOptions(m)
	if err != nil {
		return err
	}
	if o.Bind {
		f.Files[m.Destination], err = d.bind(withMappings(m, r.Spec), o, r.Sources[m.Destination])
		return err
	}
	if compile.Outside(m, o) {
		mount, err := outsideMount(m, o)
		if err != nil {
			return err
		}
		d.keep(compile.FDMount(m.Destination), mount)
		if o.CopyUp {
			return copyUp(r.Rootfs, mount, m.Destination)
		}
		return nil
	}
	if m.Type == "cgroup" {
		if err = d.join(r.Cgroups); err != nil {
			return err
		}
		f.Cgroups, err = n.ownCgroups(d)
	}
	return err
}

// bind makes the detached mount of a source. It tells whether the source is something else than a directory.
func (d *delivery) bind(m oci.SpecMount, o compile.Options, source *os.File) (file bool, err error) {
	if source == nil {
		if source, err = linux.OpenSource(m.Source); err != nil {
			return false, fmt.Errorf("mount on %s: %w", m.Destination, err)
		}
		defer func() { _ = source.Close() }()
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(source.Fd()), &st); err != nil {
		return false, fmt.Errorf("mount on %s: look at %s: %w", m.Destination, m.Source, err)
	}
	file = st.Mode&unix.S_IFMT != unix.S_IFDIR
	// Nothing is mounted below a file. Asked for what is, the kernel goes once more through all that is mounted on the file system
	// that it is in: for a name file, one mount for each Pod.
	tree, err := linux.CloneTree(source, o.Recursive && !file)
	if err != nil {
		return false, fmt.Errorf("mount on %s: %w", m.Destination, err)
	}
	d.keep(compile.FDMount(m.Destination), tree)
	if o.IDMap {
		if err := d.idmap(m, o, tree); err != nil {
			return false, fmt.Errorf("mount on %s: %w", m.Destination, err)
		}
	}
	if err := setBind(tree, o); err != nil {
		return false, fmt.Errorf("mount on %s: %w", m.Destination, err)
	}
	return file, nil
}

// outsideMount makes a file system as a detached mount, with the host's files before it.
func outsideMount(m oci.SpecMount, o compile.Options) (*os.File, error) {
	attrs, params := o.ForOutside()
	mount, err := linux.NewMount(m.Type, m.Source, attrs, params...)
	if err != nil {
		return nil, fmt.Errorf("mount on %s: %w", m.Destination, err)
	}
	return mount, nil
}

// copyUp copies what a root, in which nothing runs yet, has at a path.
func copyUp(root, into *os.File, destination string) error {
	from, err := linux.OpenIn(root, compile.Inside(destination), unix.O_RDONLY|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("mount on %s: %w", destination, err)
	}
	defer func() { _ = from.Close() }()
	inside := func(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d/.", f.Fd()) }
	if err := fs.CopyDir(inside(into), inside(from)); err != nil {
		return fmt.Errorf("mount on %s: copy what is there: %w", destination, err)
	}
	return nil
}

// withMappings completes an idmapped mount with the container's own mappings.
func withMappings(m oci.SpecMount, spec *oci.Spec) oci.SpecMount {
	if len(m.UIDMappings)+len(m.GIDMappings) == 0 {
		m.UIDMappings, m.GIDMappings = spec.Linux.UIDMappings, spec.Linux.GIDMappings
	}
	return m
}

// idmap makes the owners in a mount those of a user namespace with the mount's mappings.
func (d *delivery) idmap(m oci.SpecMount, o compile.Options, tree *os.File) error {
	userns, err := d.n.userNamespace(m.UIDMappings, m.GIDMappings)
	if err != nil {
		return err
	}
	defer func() { _ = userns.Close() }()
	return linux.SetMount(tree, o.IDMapBelow, linux.Attributes{IDMap: userns})
}

// setBind gives a bind mount its flags and propagation. A mount, and what is mounted below it, is the container's alone unless it
// asks for more.
func setBind(tree *os.File, o compile.Options) error {
	below := o.Below
	below.Propagation = o.PropagationBelow
	if below.Propagation == 0 {
		switch o.Propagation {
		case unix.MS_SHARED: // it stays with its peers, and what is below it too
		case unix.MS_SLAVE:
			below.Propagation = unix.MS_SLAVE
		default:
			below.Propagation = unix.MS_PRIVATE
		}
	}
	own := o.Own
	own.Propagation = o.Propagation
	if err := linux.SetMount(tree, true, below); err != nil {
		return err
	}
	return linux.SetMount(tree, false, own)
}
