package compile

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// devLinks are the symlinks that the runtime spec wants in /dev.
var devLinks = []struct{ name, to string }{
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
	{"ptmx", "pts/ptmx"},
}

// devices fills /dev, unless it is a directory of the host's.
func (t *tree) devices() error {
	dir, fresh := t.dev, true
	if dir == nil {
		if _, _, mounted := t.within("dev"); mounted {
			return nil
		}
		fresh = false
		t.makeEntry(t.root, "dev", "/dev", false)
		dir = t.openIn("find /dev", t.root, "dev", unix.O_PATH|unix.O_DIRECTORY, resolveLiteral)
	}
	for _, d := range DevicesOf(t.spec) {
		rest, ok := strings.CutPrefix(Inside(d.Path), "dev/")
		if !ok {
			return unsupported("device %s, which is not below /dev", d.Path)
		}
		t.device(dir, rest, d, fresh)
	}
	for _, l := range devLinks {
		r := t.call("link /dev/"+l.name, linux.SysSymlinkat, str(l.to), dir, str(l.name))
		if !fresh {
			r.Allow(unix.EEXIST)
		}
	}
	if fresh {
		t.rememberNull(dir)
	}
	return nil
}

// DevicesOf are the default devices and the spec's own, which replace those.
func DevicesOf(spec *oci.Spec) []oci.LinuxDevice {
	var all []oci.LinuxDevice
	at := map[string]int{}
	add := func(d oci.LinuxDevice) {
		key := Inside(d.Path)
		if i, seen := at[key]; seen {
			all[i] = d
			return
		}
		at[key] = len(all)
		all = append(all, d)
	}
	for _, d := range oci.DefaultDevices() {
		add(oci.LinuxDevice{Path: d.Path, Type: d.Type, Major: d.Major, Minor: d.Minor})
	}
	for _, d := range spec.Linux.Devices {
		add(d)
	}
	return all
}

// device makes a node, or, as a user namespace may not, attaches the host's to an empty file.
func (t *tree) device(dir birth.Arg, name string, d oci.LinuxDevice, fresh bool) {
	parents := strings.Split(name, "/")
	for i := range parents[:len(parents)-1] {
		sub := strings.Join(parents[:i+1], "/")
		t.makeEntry(dir, sub, "/dev/"+sub, false)
	}
	if t.userns && d.Type != "p" {
		t.makeEntry(dir, name, "/dev/"+name, true)
		t.attach("attach "+d.Path, t.p.FD(FDDevice(d.Path)), dir, name)
		return
	}
	mode := uint32(0o666)
	if d.FileMode != nil {
		mode = uint32(d.FileMode.Perm())
	}
	number := uint32(unix.Mkdev(uint32(d.Major), uint32(d.Minor)))
	r := t.call("make "+d.Path, linux.SysMknodat, dir, str(name), num(NodeType(d.Type)|mode), num(number))
	if !fresh {
		r.Allow(unix.EEXIST)
	}
	uid, gid := owner(d.UID), owner(d.GID)
	if uid != 0 || gid != 0 {
		t.call("give "+d.Path+" its owner", linux.SysFchownat, dir, str(name), num(uid), num(gid), num(unix.AT_SYMLINK_NOFOLLOW))
	}
}

// NodeType is what mknod(2) calls a device of a spec: c, u (an unbuffered c), b or p.
func NodeType(t string) uint32 {
	switch t {
	case "b":
		return unix.S_IFBLK
	case "p":
		return unix.S_IFIFO
	default:
		return unix.S_IFCHR
	}
}

func owner(id *uint32) uint32 {
	if id == nil {
		return 0
	}
	return *id
}

// rememberNull keeps a descriptor of the null device that the program itself has made: masks are copies of its mount.
func (t *tree) rememberNull(dir birth.Arg) {
	if t.userns {
		t.null = t.p.FD(FDDevice("/dev/null"))
		return
	}
	t.null = t.openIn("find /dev/null", dir, "null", unix.O_PATH, resolveFresh)
}

// console makes the process' terminal, in the devpts of the container's own, and shows it as /dev/console. Its ends are
// never looked up by name: the process' end is opened through the master.
func (t *tree) console() error {
	if !t.spec.Process.Terminal {
		return nil
	}
	pts := t.placedAt("dev/pts")
	if pts == nil {
		return invalid("a terminal without a mount on /dev/pts")
	}
	how := birth.OpenHow(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0, resolveFresh|unix.RESOLVE_NO_XDEV)
	master := t.call("open a terminal", linux.SysOpenat2, pts, str("ptmx"), how, num(birth.OpenHowSize))
	t.call("unlock the terminal", linux.SysIoctl, master, num(unix.TIOCSPTLCK), birth.Bytes(make([]byte, 4)))
	slave := t.call("open the process' end", linux.SysIoctl, master, num(unix.TIOCGPTPEER), num(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC))
	if s := t.spec.Process.ConsoleSize; s != nil {
		t.call("set the terminal's size", linux.SysIoctl, master, num(unix.TIOCSWINSZ), winsize(s))
	}
	if t.dev != nil {
		shown := t.call("copy the terminal's mount", linux.SysOpenTree, slave, str(""), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH))
		t.makeEntry(t.dev, "console", "/dev/console", true)
		t.attach("attach it on /dev/console", shown, t.dev, "console")
	}
	t.p.Tell("hand over the terminal", birth.Value(int32(TellConsole)), master)
	t.p.Wait("wait until the terminal is in safe hands")
	t.tty = slave
	return nil
}

func winsize(b *oci.Box) birth.Arg {
	h, w := uint16(b.Height), uint16(b.Width)
	return birth.Bytes([]byte{byte(h), byte(h >> 8), byte(w), byte(w >> 8), 0, 0, 0, 0})
}

// placedAt is the mount at a path of the root; nil where there is none.
func (t *tree) placedAt(name string) birth.Arg {
	for i := len(t.mounts) - 1; i >= 0; i-- {
		if t.mounts[i].path == name {
			return t.mounts[i].fd
		}
	}
	return nil
}
