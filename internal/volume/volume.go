// Package volume turns a Pod's volumes into host directories, and a container's volumeMounts into open descriptors.
//
// A container can change what is in its volumes at any time. So nothing in a volume is ever reached by a path twice: it is
// opened once, beneath the volume's root, and mounted or removed through that descriptor.
//
//	ROOT/UID/                   one Pod
//	├── volumes/NAME/           an emptyDir on disk
//	└── containers/NAME/FILE    the termination message of one container
//	STATE/UID/                  its emptyDirs in memory
//	├── shared/NAME/            on one tmpfs for all that have no limit of their own, or are alone
//	└── own/NAME/               on a tmpfs of its own, of sizeLimit bytes
package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/linux"
)

// Config says where volumes live.
type Config struct {
	Root  string // on disk; survives a reboot
	State string // tmpfs are mounted below it; gone at boot
	Log   *slog.Logger
}

// Volumes makes and removes the volumes of Pods. It holds no state: what there is, is on disk and in the mount table.
type Volumes struct {
	cfg Config
}

// Error is what is wrong with one volume.
type Error struct {
	Volume string
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("volume %q: %v", e.Volume, e.Err) }

// Unwrap makes the cause's class known.
func (e *Error) Unwrap() error { return e.Err }

// Open makes the directories in which Pods get theirs.
func Open(cfg Config) (*Volumes, error) {
	if err := linux.PrivateDirs(cfg.Root, cfg.State); err != nil {
		return nil, fmt.Errorf("open volumes: %w", err)
	}
	if err := linux.SpreadBelow(cfg.Root); err != nil {
		return nil, fmt.Errorf("open volumes: %w", err)
	}
	return &Volumes{cfg: cfg}, nil
}

// plain refuses what is not one name of a directory: names in manifests are checked long before, this is the last door.
func plain(names ...string) error {
	for _, n := range names {
		if n == "" || n == "." || n == ".." || strings.ContainsAny(n, "/\x00") {
			return fmt.Errorf("%q is not the name of a file", n)
		}
	}
	return nil
}

func (v *Volumes) disk(uid types.UID) string { return filepath.Join(v.cfg.Root, string(uid)) }

func (v *Volumes) memory(uid types.UID) string { return filepath.Join(v.cfg.State, string(uid)) }

// Location is where a volume is on the host.
type Location struct {
	Name, Kind string // "hostPath", "emptyDir", "emptyDir (Memory)"
	Path       string
}

// Locations lists where the Pod's volumes are, in the order of its spec.
func (v *Volumes) Locations(pod *v1.Pod) []Location {
	var list []Location
	for i := range pod.Spec.Volumes {
		vol := &pod.Spec.Volumes[i]
		l := Location{Name: vol.Name}
		switch {
		case vol.HostPath != nil:
			l.Kind, l.Path = "hostPath", vol.HostPath.Path
		case inMemory(vol):
			l.Kind, l.Path = "emptyDir (Memory)", v.memoryPath(pod, vol)
		case vol.EmptyDir != nil:
			l.Kind, l.Path = "emptyDir", v.diskPath(pod.UID, vol.Name)
		default:
			continue
		}
		list = append(list, l)
	}
	return list
}

// lostAndFound is what mkfs makes where a file system of its own is mounted for the volumes.
const lostAndFound = "lost+found"

// List names the Pods that have anything here, by UID.
func (v *Volumes) List() ([]types.UID, error) {
	var uids []types.UID
	for _, d := range []string{v.cfg.Root, v.cfg.State} {
		entries, err := os.ReadDir(d)
		if err != nil {
			return nil, fmt.Errorf("list volumes: %w", err)
		}
		for _, e := range entries {
			if e.Name() != lostAndFound {
				uids = append(uids, types.UID(e.Name()))
			}
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids), nil
}

// Claim makes the Pod's own directory, by which [Volumes.List] names it until [Volumes.Forget]: before what nothing else tells of.
func (v *Volumes) Claim(uid types.UID) error {
	if err := plain(string(uid)); err != nil {
		return fmt.Errorf("make the Pod's directory: %w", err)
	}
	if err := os.Mkdir(v.disk(uid), 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make the Pod's directory: %w", err)
	}
	return nil
}

// Make makes every volume of the Pod that is not there yet, and checks those of the host. It may be called again at any
// time, and leaves what is there as it is. It is given up between two volumes when ctx ends. On an error everything that it has made is gone again; the error is an *[Error]
// where one volume is to blame.
func (v *Volumes) Make(ctx context.Context, pod *v1.Pod) error {
	if err := plain(string(pod.UID)); err != nil {
		return fmt.Errorf("make volumes of Pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return v.makeAll(ctx, pod)
}

// makeVolume makes one volume, or checks one that is not ours to make.
func (v *Volumes) makeVolume(pod *v1.Pod, vol *v1.Volume, m *maker) error {
	if err := plain(vol.Name); err != nil {
		return err
	}
	switch {
	case vol.HostPath != nil:
		return checkHostPath(vol.HostPath)
	case inMemory(vol):
		return v.makeMemory(pod, vol, m)
	case vol.EmptyDir != nil && vol.EmptyDir.Medium == v1.StorageMediumDefault:
		return m.leaf(v.cfg.Root, v.diskPath(pod.UID, vol.Name), pod)
	case vol.EmptyDir != nil:
		return fmt.Errorf("unknown storage medium %q", vol.EmptyDir.Medium)
	}
	return errors.New("no volume plugin matched") // the kubelet's words
}

func inMemory(vol *v1.Volume) bool {
	return vol.EmptyDir != nil && vol.EmptyDir.Medium == v1.StorageMediumMemory
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
