package oci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ReadSeccomp reads a profile for SeccompLocalhost.
func ReadSeccomp(name string) (*LinuxSeccomp, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	defer f.Close()
	return readSeccomp(f, name)
}

// HostCapabilities are those that this process can give to another.
func HostCapabilities() ([]string, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return nil, fmt.Errorf("read this process's capabilities: %w", err)
	}
	return capabilitySet(uint64(data[1].Permitted)<<32 | uint64(data[0].Permitted)).names(), nil
}

// HostDevices are the device nodes below /dev, for privileged containers: without pseudo-terminals, the device that makes
// them, which is a link into the container's own, and the directories that are mounts of each container.
func HostDevices() ([]Device, error) { return devicesBelow("/dev") }

func devicesBelow(root string) ([]Device, error) {
	var out []Device
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone since its directory was read
		}
		if err != nil {
			return err
		}
		if entry.IsDir() {
			switch entry.Name() {
			case "pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev":
				return fs.SkipDir
			}
			return nil
		}
		if entry.Type()&fs.ModeDevice == 0 || entry.Name() == "console" || path == filepath.Join(root, "ptmx") {
			return nil
		}
		d, err := deviceAt(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			d.Path = filepath.Join("/dev", path[len(root):])
			out = append(out, d)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	return out, nil
}

func deviceAt(path string) (Device, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return Device{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	d := Device{
		Path: path, Type: "c", Major: int64(unix.Major(uint64(st.Rdev))), Minor: int64(unix.Minor(uint64(st.Rdev))),
		FileMode: fs.FileMode(st.Mode & 0o777), UID: st.Uid, GID: st.Gid,
	}
	if st.Mode&unix.S_IFMT == unix.S_IFBLK {
		d.Type = "b"
	}
	return d, nil
}

// HostMaskPaths are the paths that give away a secret on this host and not on every one: the processors' thermal throttling
// counters, by which a neighbour's work can be read.
func HostMaskPaths() ([]string, error) {
	paths, err := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")
	if err != nil {
		return nil, fmt.Errorf("list throttling counters: %w", err)
	}
	return paths, nil
}
