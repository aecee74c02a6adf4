package linux

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// OverlayOptions names the directories of an overlay.
type OverlayOptions struct {
	Lower       []string   // read-only layers, top first
	LowerMounts []*os.File // instead of Lower: the layers as detached mounts, such as idmapped ones; used up by the call
	Upper, Work string     // where changes go; both empty for a read-only overlay
	Volatile    bool       // nothing is synced, not even when it is unmounted: for an upper that nobody reads after a crash
}

// fsconfig takes no string longer than this.
const maxParam = 255

// Overlay makes an overlay as a detached mount.
func Overlay(o OverlayOptions) (*os.File, error) {
	if len(o.LowerMounts) > 0 {
		f, err := overlay(o, layerByLayer)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			return overlayByMount(o)
		}
		return f, err
	}
	if kernelBefore(6, 8) {
		return overlayOfList(o)
	}
	f, err := overlay(o, layerByLayer)
	if !errors.Is(err, unix.EINVAL) {
		return f, err
	}
	f, lerr := overlayOfList(o)
	if lerr != nil {
		return nil, err // the first one says more
	}
	return f, nil
}

// overlayOfList is for kernels where layers are one list: before Linux 6.8, which is not tried out, as each try would be a
// line in the kernel's log. Whether the list fits into an option decides how it is given.
func overlayOfList(o OverlayOptions) (*os.File, error) {
	f, err := overlay(o, layerList)
	if errors.Is(err, errLongLayers) {
		return overlayByMount(o)
	}
	return f, err
}

// kernelBefore compares the version of this kernel.
func kernelBefore(major, minor int) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var is, sub int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &is, &sub); err != nil {
		return false
	}
	return is < major || is == major && sub < minor
}

func overlay(o OverlayOptions, layers func(fsfd int, o OverlayOptions, held *pathHolder) error) (*os.File, error) {
	held := &pathHolder{}
	defer held.close()
	fsfd, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open file system overlay: %w", err)
	}
	defer func() { _ = unix.Close(fsfd) }()
	if err := layers(fsfd, o, held); err != nil {
		return nil, fmt.Errorf("configure overlay: %w", err)
	}
	params := []Param{KeyValue("source", "overlay")}
	if o.Volatile && o.Upper != "" {
		params = append(params, Flag("volatile"))
	}
	for _, p := range []struct{ key, path string }{{"upperdir", o.Upper}, {"workdir", o.Work}} {
		if p.path == "" {
			continue
		}
		short, err := held.short(p.path)
		if err != nil {
			return nil, fmt.Errorf("configure overlay: %w", err)
		}
		params = append(params, KeyValue(p.key, short))
	}
	for _, p := range params {
		if err := configure(fsfd, p); err != nil {
			return nil, fmt.Errorf("configure overlay: %w", err)
		}
	}
	return create(fsfd, "overlay", 0)
}

// errLongLayers says that a kernel without lowerdir+ cannot take so many layers through fsconfig.
var errLongLayers = errors.New("the layers do not fit into one option")

// layerByLayer adds the layers one by one: by descriptor since Linux 6.13, by path since 6.8.
func layerByLayer(fsfd int, o OverlayOptions, held *pathHolder) error {
	for i, f := range o.LowerMounts {
		if err := unix.FsconfigSetFd(fsfd, "lowerdir+", int(f.Fd())); err != nil {
			return explain(fsfd, "layer "+strconv.Itoa(i)+" by descriptor (Linux 6.13)", err)
		}
	}
	for _, dir := range o.Lower {
		short, err := held.short(dir)
		if err != nil {
			return err
		}
		if err := unix.FsconfigSetString(fsfd, "lowerdir+", short); err != nil {
			return explain(fsfd, "lowerdir+="+short, err)
		}
	}
	return nil
}

// layerList gives the layers as one list.
func layerList(fsfd int, o OverlayOptions, held *pathHolder) error {
	list := strings.Join(o.Lower, ":")
	if len(list) > maxParam || strings.ContainsAny(list, `,\`) || strings.Count(list, ":") != len(o.Lower)-1 {
		var err error
		if list, err = held.list(o.Lower); err != nil {
			return err
		}
	}
	if len(list) > maxParam {
		return errLongLayers
	}
	if err := unix.FsconfigSetString(fsfd, "lowerdir", list); err != nil {
		return explain(fsfd, "lowerdir="+list, err)
	}
	return nil
}

// overlayByMount is for kernels where only mount(2) takes a long list, or where overlay takes no layer that is mounted
// nowhere. It mounts in a mount namespace of a thread of its own, and keeps a detached copy; namespace and thread end with
// the call.
func overlayByMount(o OverlayOptions) (*os.File, error) {
	type result struct {
		f   *os.File
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread has another mount namespace and ends with the goroutine
		f, err := mountAside(o)
		done <- result{f, err}
	}()
	r := <-done
	return r.f, r.err
}

func mountAside(o OverlayOptions) (*os.File, error) {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("unshare mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("make mounts private: %w", err)
	}
	// The directories are opened here, as overlay takes none that are in another mount namespace.
	held := &pathHolder{}
	defer held.close()
	options := ""
	if o.Upper != "" {
		dirs, err := held.list([]string{o.Upper, o.Work})
		if err != nil {
			return nil, err
		}
		upper, work, _ := strings.Cut(dirs, ":")
		options = ",upperdir=" + upper + ",workdir=" + work
		if o.Volatile {
			options += ",volatile"
		}
	}
	lower, err := held.list(o.Lower)
	if len(o.LowerMounts) > 0 {
		lower, err = attachAside(o.LowerMounts)
	}
	if err != nil {
		return nil, err
	}
	options = "lowerdir=" + lower + options
	const at = "/proc" // a directory that every host has, and where nothing is looked up any more afterwards
	if err := unix.Mount("overlay", at, "overlay", 0, options); err != nil {
		return nil, fmt.Errorf("mount overlay with %s: %w", options, err)
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, at, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("clone overlay: %w", err)
	}
	return os.NewFile(uintptr(fd), "overlay"), nil
}

// attachAside puts detached mounts into this thread's mount namespace, below a file system of its own on /dev, and returns
// their places.
func attachAside(mounts []*os.File) (string, error) {
	const on = "/dev"
	if err := unix.Mount("tmpfs", on, "tmpfs", unix.MS_NOEXEC, "size=64k"); err != nil {
		return "", fmt.Errorf("mount tmpfs on %s: %w", on, err)
	}
	places := make([]string, len(mounts))
	for i, f := range mounts {
		places[i] = on + "/" + strconv.Itoa(i)
		if err := unix.Mkdir(places[i], 0o700); err != nil {
			return "", &os.PathError{Op: "mkdir", Path: places[i], Err: err}
		}
		if err := AttachPath(f, places[i]); err != nil {
			return "", fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return strings.Join(places, ":"), nil
}

// pathHolder gives directories short names, through descriptors that it holds open until the mount is made.
type pathHolder struct {
	files []*os.File
}

// short is the path itself unless it is too long for fsconfig, or has a character that overlay reads as its own.
func (h *pathHolder) short(dir string) (string, error) {
	if len(dir) <= maxParam && !strings.ContainsAny(dir, `:,\`) {
		return dir, nil
	}
	return h.open(dir)
}

func (h *pathHolder) open(dir string) (string, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: dir, Err: err}
	}
	h.files = append(h.files, os.NewFile(uintptr(fd), dir))
	return "/proc/self/fd/" + strconv.Itoa(fd), nil
}

func (h *pathHolder) list(dirs []string) (string, error) {
	short := make([]string, len(dirs))
	for i, dir := range dirs {
		var err error
		if short[i], err = h.open(dir); err != nil {
			return "", err
		}
	}
	return strings.Join(short, ":"), nil
}

func (h *pathHolder) close() {
	for _, f := range h.files {
		_ = f.Close()
	}
}
