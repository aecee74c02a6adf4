package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	v1 "k8s.io/api/core/v1"

	"github.com/hull-pods/hull/internal/linux"
)

// checkHostPath does what the kubelet does before a container of the Pod exists: it checks the type, and makes what the
// type says is to be made.
func checkHostPath(src *v1.HostPathVolumeSource) error {
	if slices.Contains(strings.Split(src.Path, "/"), "..") {
		return fmt.Errorf("invalid HostPath `%s`: must not contain '..'", src.Path)
	}
	if !filepath.IsAbs(src.Path) {
		return fmt.Errorf("invalid HostPath `%s`: must be an absolute path", src.Path)
	}
	kind := hostPathType(src)
	_, err := os.Stat(src.Path)
	switch kind {
	case v1.HostPathUnset:
		return nil
	case v1.HostPathDirectoryOrCreate:
		if err != nil {
			return os.MkdirAll(src.Path, 0o755)
		}
	case v1.HostPathFileOrCreate:
		if err != nil {
			f, err := os.OpenFile(src.Path, os.O_CREATE|unix.O_NONBLOCK, 0o644) // it may be a fifo by now
			if err != nil {
				return err
			}
			return f.Close()
		}
	case v1.HostPathDirectory, v1.HostPathFile, v1.HostPathSocket, v1.HostPathCharDev, v1.HostPathBlockDev:
	default:
		return fmt.Errorf("%s is an invalid volume type", kind)
	}
	info, err := os.Stat(src.Path)
	return checkType(src.Path, kind, info, err)
}

func hostPathType(src *v1.HostPathVolumeSource) v1.HostPathType {
	if src.Type == nil {
		return v1.HostPathUnset
	}
	return *src.Type
}

// checkType holds what was found on a path (or why nothing was) against what the manifest expects there.
func checkType(path string, kind v1.HostPathType, info os.FileInfo, err error) error {
	expected := map[v1.HostPathType]string{
		v1.HostPathDirectoryOrCreate: "directory", v1.HostPathDirectory: "directory",
		v1.HostPathFileOrCreate: "file", v1.HostPathFile: "file",
		v1.HostPathSocket: "socket file", v1.HostPathCharDev: "character device", v1.HostPathBlockDev: "block device",
	}[kind]
	found := v1.HostPathType("")
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("path %q does not exist", path)
	} else if err == nil {
		found, err = typeOf(info)
	}
	if err != nil {
		return fmt.Errorf("hostPath type check failed, %s is not a %s, unable to determine its type: %w", path, expected, err)
	}
	want := kind
	switch kind {
	case v1.HostPathDirectoryOrCreate:
		want = v1.HostPathDirectory
	case v1.HostPathFileOrCreate:
		want = v1.HostPathFile
	}
	if found != want {
		return fmt.Errorf("hostPath type check failed: %s is not a %s, it's a %s", path, expected, found)
	}
	return nil
}

func typeOf(info os.FileInfo) (v1.HostPathType, error) {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return v1.HostPathDirectory, nil
	case mode.IsRegular():
		return v1.HostPathFile, nil
	case mode&os.ModeSocket != 0:
		return v1.HostPathSocket, nil
	case mode&os.ModeCharDevice != 0:
		return v1.HostPathCharDev, nil
	case mode&os.ModeDevice != 0:
		return v1.HostPathBlockDev, nil
	}
	return "", errors.New("only recognise file, directory, socket, block device and character device")
}

// openHostPath opens a path of the host for one container. The type is checked again, on the descriptor: it may have changed
// since the Pod's volumes were made. With no type given, a path that does not exist becomes a directory, as container
// runtimes do it.
func openHostPath(src *v1.HostPathVolumeSource) (*os.File, error) {
	f, err := linux.OpenSource(src.Path)
	kind := hostPathType(src)
	if errors.Is(err, fs.ErrNotExist) && kind == v1.HostPathUnset {
		if err := os.MkdirAll(src.Path, 0o755); err != nil {
			return nil, err
		}
		f, err = linux.OpenSource(src.Path)
	}
	if err != nil {
		return nil, err
	}
	if kind == v1.HostPathUnset {
		return f, nil
	}
	info, err := f.Stat()
	if err := checkType(src.Path, kind, info, err); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
