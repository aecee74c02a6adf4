package linux

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// inRoot keeps a lookup inside a root, whatever symlinks it meets: absolute ones start at the root again, and the
// symlinks of /proc that jump anywhere are refused.
const inRoot = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS

// maxLinks is how many symlinks a path may go through, as in the kernel.
const maxLinks = 40

// OpenIn opens a path inside root as a process with that root would. Opening for more than O_PATH takes care of itself:
// give O_NONBLOCK where a fifo might stand.
func OpenIn(root *os.File, name string, flags int) (*os.File, error) {
	return openResolved(root, name, flags, inRoot)
}

// OpenBeneath opens a path below dir that leaves neither dir nor its mount, and has no symlink in it: how files of a
// procfs that was checked are opened.
func OpenBeneath(dir *os.File, name string, flags int) (*os.File, error) {
	return openResolved(dir, name, flags, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_XDEV|unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_MAGICLINKS)
}

func openResolved(dir *os.File, name string, flags int, resolve uint64) (*os.File, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: resolve}
	fd, err := retry(func() (int, error) { return unix.Openat2(int(dir.Fd()), relative(name), &how) })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

func relative(name string) string {
	if name = strings.TrimLeft(name, "/"); name == "" {
		return "."
	}
	return name
}

// OpenSource opens what a mount's source path names on the host, as the caller of mount(2) would: symlinks are followed,
// but not those of /proc/PID that lead into other processes' files.
func OpenSource(name string) (*os.File, error) {
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	fd, err := retry(func() (int, error) { return unix.Openat2(unix.AT_FDCWD, name, &how) })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Target is what a mount is to be put on, made where it is not there.
type Target struct {
	Path     string
	Dir      bool // a directory; else an empty file
	UID, GID int  // owners of what is made

	// Covered tells that something will be mounted at a path (relative, without symlinks) or above it: what is there now
	// will not be seen, so the rest of the target's path is taken as it is.
	Covered func(string) bool
}

// MakeTarget makes the target inside root, with all directories above it, and returns its path relative to root without
// symlinks and "..". Symlinks are followed inside root, dangling ones too: what they name is made. Nobody may change the
// tree meanwhile: it is for a root that no process has yet.
func MakeTarget(root *os.File, t Target) (string, error) {
	clean := relative(path.Clean("/" + t.Path))
	if t.Covered != nil && t.Covered(clean) {
		return clean, nil
	}
	const literal = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS
	if f, err := openResolved(root, clean, unix.O_PATH, literal); err == nil {
		return clean, f.Close()
	}
	todo := strings.Split(clean, "/")
	done := ""
	for links := 0; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			done = parent(done)
			continue
		}
		if t.Covered != nil && t.Covered(path.Join(done, name)) {
			return relative(path.Clean("/" + path.Join(append([]string{done, name}, todo...)...))), nil
		}
		link, err := step(root, done, name, t, len(todo) == 0)
		if err != nil {
			return "", err
		}
		if link == "" {
			done = path.Join(done, name)
			continue
		}
		if links++; links > maxLinks {
			return "", &os.PathError{Op: "make", Path: t.Path, Err: unix.ELOOP}
		}
		if strings.HasPrefix(link, "/") {
			done = ""
		}
		todo = append(strings.Split(link, "/"), todo...)
	}
	return done, nil
}

func parent(p string) string {
	if p = path.Dir(p); p == "." {
		return ""
	}
	return p
}

// step looks at one name in a directory that is there: a symlink's text, or "" after the name exists.
func step(root *os.File, dir, name string, t Target, last bool) (string, error) {
	const resolve = unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_SYMLINKS
	d, err := openResolved(root, dir, unix.O_PATH|unix.O_DIRECTORY, resolve)
	if err != nil {
		return "", err
	}
	defer func() { _ = d.Close() }()
	var st unix.Stat_t
	err = unix.Fstatat(int(d.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		return "", makeEntry(d, name, t, last)
	case err != nil:
		return "", &os.PathError{Op: "stat", Path: path.Join(dir, name), Err: err}
	case st.Mode&unix.S_IFMT != unix.S_IFLNK:
		return "", nil
	}
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(d.Fd()), name, buf)
	if err != nil {
		return "", &os.PathError{Op: "readlink", Path: path.Join(dir, name), Err: err}
	}
	return string(buf[:n]), nil
}

func makeEntry(d *os.File, name string, t Target, last bool) error {
	var err error
	if last && !t.Dir {
		err = unix.Mknodat(int(d.Fd()), name, unix.S_IFREG|0o644, 0)
	} else {
		err = unix.Mkdirat(int(d.Fd()), name, 0o755)
	}
	if err != nil {
		return &os.PathError{Op: "make", Path: path.Join(d.Name(), name), Err: err}
	}
	if t.UID == 0 && t.GID == 0 {
		return nil
	}
	if err := unix.Fchownat(int(d.Fd()), name, t.UID, t.GID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("give %s its owner: %w", path.Join(d.Name(), name), err)
	}
	return nil
}
