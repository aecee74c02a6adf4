package linux

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Param is one option of a file system, as fsconfig takes it: a flag when Value is nil.
type Param struct {
	Key   string
	Value *string
}

// Flag is an option without a value.
func Flag(key string) Param { return Param{Key: key} }

// KeyValue is an option with a value.
func KeyValue(key, value string) Param { return Param{Key: key, Value: &value} }

// NewMount makes a file system and returns it as a detached mount: it is nowhere in a tree until Attach, and ends with
// its last descriptor if it never gets there. attrs are unix.MOUNT_ATTR_….
func NewMount(fstype, source string, attrs int, params ...Param) (*os.File, error) {
	fsfd, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open file system %s: %w", fstype, err)
	}
	defer func() { _ = unix.Close(fsfd) }()
	if source != "" {
		params = append([]Param{KeyValue("source", source)}, params...)
	}
	for _, p := range params {
		if err := configure(fsfd, p); err != nil {
			return nil, fmt.Errorf("configure file system %s: %w", fstype, err)
		}
	}
	return create(fsfd, fstype, attrs)
}

func configure(fsfd int, p Param) error {
	if p.Value == nil {
		if err := unix.FsconfigSetFlag(fsfd, p.Key); err != nil {
			return explain(fsfd, p.Key, err)
		}
		return nil
	}
	if err := unix.FsconfigSetString(fsfd, p.Key, *p.Value); err != nil {
		return explain(fsfd, p.Key+"="+*p.Value, err)
	}
	return nil
}

// create turns a configured file system into a detached mount.
func create(fsfd int, fstype string, attrs int) (*os.File, error) {
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return nil, fmt.Errorf("create file system %s: %w", fstype, explain(fsfd, "", err))
	}
	fd, err := unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, attrs)
	if err != nil {
		return nil, fmt.Errorf("mount file system %s: %w", fstype, err)
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

// explain adds what the kernel wrote to the file system context's log, which is often all that tells one EINVAL from
// another.
func explain(fsfd int, what string, err error) error {
	if what != "" {
		err = fmt.Errorf("%s: %w", what, err)
	}
	buf := make([]byte, 512)
	if n, rerr := unix.Read(fsfd, buf); rerr == nil && n > 2 {
		err = fmt.Errorf("%w (%s)", err, trimNewline(buf[:n]))
	}
	return err
}

func trimNewline(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == 0) {
		b = b[:len(b)-1]
	}
	return b
}

// CloneTree returns a detached copy of the mount that f is in, with f as its root; recursive takes all mounts below it
// along. The copy is in the original's peer group, if that has one: see SetMount for propagation.
func CloneTree(f *os.File, recursive bool) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := retry(func() (int, error) { return unix.OpenTree(int(f.Fd()), "", flags) })
	if err != nil {
		return nil, fmt.Errorf("clone mount of %s: %w", f.Name(), err)
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// Attributes is a change of a mount: flags to set and to clear (unix.MOUNT_ATTR_…), a propagation (unix.MS_PRIVATE,
// MS_SLAVE, MS_SHARED, MS_UNBINDABLE; 0 leaves it) and a user namespace whose mapping the mount applies to owners.
type Attributes struct {
	Set, Clear  uint64
	Propagation uint64
	IDMap       *os.File
}

// Zero tells that there is nothing to change.
func (a Attributes) Zero() bool { return a == Attributes{} }

// SetMount changes the mount that f is the root of, and all below it if recursive.
func SetMount(f *os.File, recursive bool, a Attributes) error {
	if a.Zero() {
		return nil
	}
	attr := unix.MountAttr{Attr_set: a.Set, Attr_clr: a.Clear, Propagation: a.Propagation}
	if a.IDMap != nil {
		attr.Attr_set |= unix.MOUNT_ATTR_IDMAP
		attr.Userns_fd = uint64(a.IDMap.Fd())
	}
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	if err := unix.MountSetattr(int(f.Fd()), "", flags, &attr); err != nil {
		return fmt.Errorf("change mount of %s: %w", f.Name(), err)
	}
	return nil
}

// Attach puts a detached mount (or moves an attached one) on to what target is open on.
func Attach(mount, target *os.File) error {
	flags := unix.MOVE_MOUNT_F_EMPTY_PATH | unix.MOVE_MOUNT_T_EMPTY_PATH
	if err := unix.MoveMount(int(mount.Fd()), "", int(target.Fd()), "", flags); err != nil {
		return fmt.Errorf("mount %s on %s: %w", mount.Name(), target.Name(), err)
	}
	return nil
}

// AttachPath is Attach to a path of the host's own, that no container can change.
func AttachPath(mount *os.File, target string) error {
	if err := unix.MoveMount(int(mount.Fd()), "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount %s on %s: %w", mount.Name(), target, err)
	}
	return nil
}

// Detach takes the topmost mount away from path at once, and lets it end when nobody uses it. No mount is no error.
func Detach(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return nil
}

// maxTries bounds how often a lookup is made: a container that renames without end can disturb each.
const maxTries = 256

// retry repeats a call that a signal, or a rename elsewhere on the machine, made fail.
func retry(call func() (int, error)) (n int, err error) {
	for range maxTries {
		n, err = call()
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	return n, err
}
