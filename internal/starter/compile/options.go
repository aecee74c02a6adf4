package compile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
	"github.com/hull-pods/hull/internal/oci"
)

// Options is a spec's list of mount options, sorted by what they are for.
type Options struct {
	Bind, Recursive   bool             // recursive: rbind
	Own               linux.Attributes // of the mount itself
	Below             linux.Attributes // of all mounts below it too: rro and its like
	Propagation       uint64           // of the mount itself
	PropagationBelow  uint64           // and of all below it
	IDMap, IDMapBelow bool
	CopyUp            bool          // what the root has there is copied into it
	params            []linux.Param // the file system's own
}

// attributes are the options that change one flag of a mount: set or cleared.
var attributes = map[string]struct {
	clear bool
	flag  uint64
}{
	"ro": {false, unix.MOUNT_ATTR_RDONLY}, "rw": {true, unix.MOUNT_ATTR_RDONLY},
	"nosuid": {false, unix.MOUNT_ATTR_NOSUID}, "suid": {true, unix.MOUNT_ATTR_NOSUID},
	"nodev": {false, unix.MOUNT_ATTR_NODEV}, "dev": {true, unix.MOUNT_ATTR_NODEV},
	"noexec": {false, unix.MOUNT_ATTR_NOEXEC}, "exec": {true, unix.MOUNT_ATTR_NOEXEC},
	"nodiratime": {false, unix.MOUNT_ATTR_NODIRATIME}, "diratime": {true, unix.MOUNT_ATTR_NODIRATIME},
	"nosymfollow": {false, unix.MOUNT_ATTR_NOSYMFOLLOW}, "symfollow": {true, unix.MOUNT_ATTR_NOSYMFOLLOW},
}

// accessTimes are one choice among several: setting one clears the field first.
var accessTimes = map[string]uint64{
	"relatime": unix.MOUNT_ATTR_RELATIME, "norelatime": unix.MOUNT_ATTR_STRICTATIME,
	"noatime": unix.MOUNT_ATTR_NOATIME, "atime": unix.MOUNT_ATTR_RELATIME,
	"strictatime": unix.MOUNT_ATTR_STRICTATIME, "nostrictatime": unix.MOUNT_ATTR_RELATIME,
}

var propagations = map[string]uint64{
	"private": unix.MS_PRIVATE, "slave": unix.MS_SLAVE, "shared": unix.MS_SHARED, "unbindable": unix.MS_UNBINDABLE,
}

// accepted options that say what is so anyway, or are mount(8)'s own.
var noOptions = []string{"defaults", "remount"}

// superblock options are of a whole file system: a bind mount has them as they are, and mount(2) does not look at them there.
var superblock = []string{"async", "sync", "dirsync", "lazytime", "nolazytime", "mand"}

// ParseOptions reads the options of one mount.
func ParseOptions(m oci.SpecMount) (Options, error) {
	o := Options{Bind: m.Type == "bind"}
	for _, opt := range m.Options {
		switch {
		case opt == "bind":
			o.Bind = true
		case opt == "rbind":
			o.Bind, o.Recursive = true, true
		case opt == "idmap":
			o.IDMap = true
		case opt == "ridmap":
			o.IDMap, o.IDMapBelow = true, true
		case opt == "tmpcopyup":
			o.CopyUp = true
		case slices.Contains(noOptions, opt):
		case o.attribute(opt):
		default:
			o.param(opt)
		}
	}
	if len(m.UIDMappings)+len(m.GIDMappings) > 0 {
		o.IDMap = true
	}
	if o.Bind {
		o.params = slices.DeleteFunc(o.params, func(p linux.Param) bool { return p.Value == nil && slices.Contains(superblock, p.Key) })
	}
	if o.Bind && len(o.params) > 0 {
		return o, fmt.Errorf("mount on %s: option %q is none of a bind mount: %w", m.Destination, o.params[0].Key, errdefs.ErrInvalidArgument)
	}
	if o.CopyUp && (o.Bind || m.Type != "tmpfs" || Inside(m.Destination) == "dev") { // a /dev is filled with devices, whose names must be free
		return o, fmt.Errorf("mount on %s: option tmpcopyup is a tmpfs' alone, and not /dev's: %w", m.Destination, errdefs.ErrInvalidArgument)
	}
	return o, nil
}

// attribute takes an option of the mount itself: a flag or a propagation, with an r before it when it is for all below.
func (o *Options) attribute(opt string) bool {
	into, base := &o.Own, opt
	_, plain := attributes[opt]
	_, plainTime := accessTimes[opt]
	if rest, ok := strings.CutPrefix(opt, "r"); ok && !plain && !plainTime {
		into, base = &o.Below, rest
		if p, ok := propagations[rest]; ok {
			o.PropagationBelow = p
			return true
		}
	} else if p, ok := propagations[opt]; ok {
		o.Propagation = p
		return true
	}
	if a, ok := attributes[base]; ok {
		if a.clear {
			into.Clear |= a.flag
			into.Set &^= a.flag
		} else {
			into.Set |= a.flag
			into.Clear &^= a.flag
		}
		return true
	}
	if t, ok := accessTimes[base]; ok {
		into.Clear |= unix.MOUNT_ATTR__ATIME
		into.Set = into.Set&^unix.MOUNT_ATTR__ATIME | t
		return true
	}
	return false
}

// param is an option of the file system: name or name=value.
func (o *Options) param(opt string) {
	switch opt {
	case "silent", "loud", "nomand", "iversion", "noiversion": // what mount(8) knows, and a file system made by fsopen(2) decides itself
		return
	}
	if key, value, ok := strings.Cut(opt, "="); ok {
		o.params = append(o.params, linux.KeyValue(key, value))
		return
	}
	o.params = append(o.params, linux.Flag(opt))
}

// attrs are the flags for fsmount of a new file system, which starts with none set.
func (o *Options) attrs() int { return int(o.Own.Set | o.Below.Set) }

// namespaced are the file systems that are what the namespaces of their maker make them, and so are made by the container's process.
var namespaced = []string{"proc", "sysfs", "devpts", "tmpfs", "mqueue", "cgroup", "cgroup2"}

// Outside tells whether a file system is made outside of the container, where the paths in its options lead to what the spec's author
// means: an overlay's layers, an ext4's device. So is a tmpfs into which something is copied.
func Outside(m oci.SpecMount, o Options) bool {
	return !o.Bind && (o.CopyUp || !slices.Contains(namespaced, m.Type))
}

// ForOutside are a file system's flags and options for one that is made outside.
func (o *Options) ForOutside() (attrs int, params []linux.Param) {
	attrs, params = o.attrs(), o.params
	switch {
	case o.CopyUp:
		attrs &^= unix.MOUNT_ATTR_RDONLY // it is given back once all is in it
	case attrs&unix.MOUNT_ATTR_RDONLY != 0:
		params = append(slices.Clone(params), linux.Flag("ro")) // its device may be
	}
	return attrs, params
}
