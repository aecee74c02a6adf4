package starter

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// prepare opens and makes what a container's program needs but for the namespaces that it joins: detached mounts, mount points in
// the root, which no process has yet.
func (n *Native) prepare(d *delivery, r Request, ns compile.Namespaces) (compile.Facts, error) {
	f := compile.Facts{LastCap: n.lastCap, OldProc: n.oldProc, Unified: len(n.cgroups) == 0, Files: map[string]bool{}, Targets: map[string]string{}}
	d.add(compile.FDRootfs, r.Rootfs)
	if r.Spec.Hooks != nil {
		if err := writeBundle(r, &f); err != nil {
			return f, err
		}
	}
	if r.Witness != nil {
		f.Witness = true
		d.add(compile.FDWitness, r.Witness)
	}
	user := hostID(r.Spec.Linux.UIDMappings, r.Spec.Process.User.UID)
	var err error
	if !r.Spec.Process.Terminal {
		if err = d.stdio(&f, user, r.Stdin, r.Stdout, r.Stderr); err != nil {
			return f, err
		}
	}
	if err = n.filters.into(&f, r.Spec.Linux.Seccomp); err != nil {
		return f, err
	}
	owner := rootOf(r.Spec)
	var covered []string
	for _, m := range compile.MountOrder(r.Spec.Mounts) {
		if err := n.mount(d, r, m, &f); err != nil {
			return f, err
		}
		at, err := owner.target(r.Rootfs, m.Destination, !f.Files[m.Destination], covered)
		if err != nil {
			return f, fmt.Errorf("mount on %s: %w", m.Destination, err)
		}
		if at != compile.Inside(m.Destination) {
			f.Targets[m.Destination] = at
		}
		covered = append(covered, at)
	}
	if err := d.rest(r, ns, owner, covered); err != nil {
		return f, err
	}
	return f, d.join(r.Cgroups)
}

// rest prepares what comes after the mounts: device nodes for user namespaces, masks, the working directory.
func (d *delivery) rest(r Request, ns compile.Namespaces, owner rootUser, covered []string) error {
	if ns.User() {
		if err := d.devices(r.Spec); err != nil {
			return err
		}
	}
	if !within("dev", covered) || bindAt(r.Spec, "dev") {
		if err := d.nulls(len(r.Spec.Linux.MaskedPaths)); err != nil {
			return err
		}
	}
	if cwd := r.Spec.Process.Cwd; compile.Inside(cwd) != "" {
		if _, err := owner.target(r.Rootfs, cwd, true, covered); err != nil {
			return fmt.Errorf("make working directory %s: %w", cwd, err)
		}
	}
	return nil
}

func within(p string, dirs []string) bool {
	for _, dir := range dirs {
		if compile.Under(p, dir) {
			return true
		}
	}
	return false
}

func bindAt(spec *oci.Spec, p string) bool {
	for _, m := range spec.Mounts {
		if compile.Inside(m.Destination) == p && m.Type != "tmpfs" {
			return true
		}
	}
	return false
}

// rootUser is who owns what is made in a root: the host's IDs of the container's root.
type rootUser struct{ uid, gid int }

func rootOf(spec *oci.Spec) rootUser {
	return rootUser{hostID(spec.Linux.UIDMappings, 0), hostID(spec.Linux.GIDMappings, 0)}
}

// hostID is the host's ID of a container's; itself where it is not mapped.
func hostID(mappings []oci.LinuxIDMapping, id uint32) int {
	for _, m := range mappings {
		if id >= m.ContainerID && uint64(id) < uint64(m.ContainerID)+uint64(m.Size) {
			return int(m.HostID + id - m.ContainerID)
		}
	}
	return int(id)
}

func (u rootUser) target(root *os.File, p string, dir bool, covered []string) (string, error) {
	return linux.MakeTarget(root, linux.Target{
		Path: p, Dir: dir, UID: u.uid, GID: u.gid,
		Covered: func(p string) bool { return within(p, covered) },
	})
}

// stdio names the streams that the caller gave, and gives those that are pipes to the process' user, so that it can open
// /dev/stdout again.
func (d *delivery) stdio(f *compile.Facts, user int, files ...*os.File) error {
	given := []*bool{&f.Stdin, &f.Stdout, &f.Stderr}
	for i, file := range files {
		if file == nil {
			continue
		}
		d.add(compile.StdioNames[i], file)
		*given[i] = true
		var st unix.Stat_t
		if err := unix.Fstat(int(file.Fd()), &st); err != nil {
			return fmt.Errorf("look at %s: %w", compile.StdioNames[i], err)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFIFO || int(st.Uid) == user {
			continue
		}
		if err := unix.Fchown(int(file.Fd()), user, -1); err != nil {
			return fmt.Errorf("give %s to the process' user: %w", compile.StdioNames[i], err)
		}
	}
	return nil
}

// namespaces opens those that the spec joins, and makes sure that they are what it says.
func (d *delivery) namespaces(spec *oci.Spec) error {
	for _, ns := range spec.Linux.Namespaces {
		if ns.Path == "" {
			continue
		}
		fd, err := unix.Open(ns.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open %s namespace %s: %w", ns.Type, ns.Path, err)
		}
		d.keep(compile.FDNamespace(ns.Type), os.NewFile(uintptr(fd), ns.Path))
		kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
		if err != nil || uintptr(kind) != compile.Flag(ns.Type) {
			return invalid("%s is no %s namespace", ns.Path, ns.Type)
		}
	}
	return nil
}

// devices makes detached mounts of the host's device nodes, for a container that may make none.
func (d *delivery) devices(spec *oci.Spec) error {
	for _, dev := range compile.DevicesOf(spec) {
		if dev.Type == "p" {
			continue
		}
		source, err := linux.OpenSource(dev.Path)
		if err != nil {
			return fmt.Errorf("device %s: %w", dev.Path, err)
		}
		defer func() { _ = source.Close() }()
		if err := checkDevice(source, dev); err != nil {
			return err
		}
		tree, err := linux.CloneTree(source, false)
		if err != nil {
			return fmt.Errorf("device %s: %w", dev.Path, err)
		}
		d.keep(compile.FDDevice(dev.Path), tree)
	}
	return nil
}

func checkDevice(f *os.File, dev oci.LinuxDevice) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("device %s: %w", dev.Path, err)
	}
	if st.Mode&unix.S_IFMT != compile.NodeType(dev.Type) || st.Rdev != unix.Mkdev(uint32(dev.Major), uint32(dev.Minor)) {
		return fmt.Errorf("device %s: the host's is another than %s %d:%d", dev.Path, dev.Type, dev.Major, dev.Minor)
	}
	return nil
}

// nulls makes mounts of the null device for masks, where the container's /dev is not of our making.
func (d *delivery) nulls(count int) error {
	for i := range count {
		tree, err := linux.CloneTree(d.n.null, false)
		if err != nil {
			return err
		}
		d.keep(compile.FDNull(i+1), tree)
	}
	return nil
}

// readProc reads a file of our own procfs.
func (n *Native) readProc(name string) ([]byte, error) {
	f, err := linux.OpenBeneath(n.proc, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read /proc/%s: %w", name, err)
	}
	return data, nil
}

// pidOf is the process that a pidfd is of.
func (n *Native) pidOf(pidfd *os.File) (int, error) {
	data, err := n.readProc(strconv.Itoa(os.Getpid()) + "/fdinfo/" + strconv.Itoa(int(pidfd.Fd())))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if pid, ok := strings.CutPrefix(line, "Pid:"); ok {
			return strconv.Atoi(strings.TrimSpace(pid))
		}
	}
	return 0, fmt.Errorf("that is no pidfd: %w", unix.EBADF)
}

func (n *Native) readLastCap() (int, error) {
	data, err := n.readProc("sys/kernel/cap_last_cap")
	if err != nil {
		return 0, err
	}
	last, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("highest capability: %w", err)
	}
	return last, nil
}

// hierarchy is a version 1 cgroup hierarchy of the host.
type hierarchy struct {
	compile.Hierarchy
	mountpoint string
}

// hierarchies reads which there are; none where the host has version 2 alone.
func (n *Native) hierarchies() ([]hierarchy, error) {
	data, err := n.readProc(strconv.Itoa(os.Getpid()) + "/mountinfo")
	if err != nil {
		return nil, err
	}
	mounts, err := mountinfo.GetMountsFromReader(bytes.NewReader(data), mountinfo.FSTypeFilter("cgroup"))
	if err != nil {
		return nil, fmt.Errorf("find the cgroup hierarchies: %w", err)
	}
	var all []hierarchy
	for _, m := range mounts {
		h := hierarchy{mountpoint: m.Mountpoint, Hierarchy: compile.Hierarchy{Name: path.Base(m.Mountpoint)}}
		for _, o := range strings.Split(m.VFSOptions, ",") {
			if strings.Contains(h.Name, ",") && strings.Contains(","+h.Name+",", ","+o+",") {
				h.Controllers = append(h.Controllers, o)
			}
		}
		all = append(all, h)
	}
	return all, nil
}

// ownCgroups makes detached mounts of the container's own cgroups, which are where its cgroup files are.
func (n *Native) ownCgroups(d *delivery) ([]compile.Hierarchy, error) {
	var all []compile.Hierarchy
	for _, h := range n.cgroups {
		for _, f := range d.joined {
			dir := filepath.Dir(f.Name())
			if !compile.Under(dir, h.mountpoint) {
				continue
			}
			source, err := linux.OpenSource(dir)
			if err != nil {
				return nil, fmt.Errorf("mount cgroup %s: %w", h.Name, err)
			}
			tree, err := linux.CloneTree(source, false)
			_ = source.Close()
			if err != nil {
				return nil, fmt.Errorf("mount cgroup %s: %w", h.Name, err)
			}
			d.keep(compile.FDHierarchy(h.Name), tree)
			all = append(all, h.Hierarchy)
			break
		}
	}
	return all, nil
}
