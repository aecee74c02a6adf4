package record

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Dirs is where the runtime keeps things: what may be large and outlives a boot below Root, what does not below State.
type Dirs struct {
	Root, State string
}

// Sandboxes has a directory for each sandbox, by its ID.
func (d Dirs) Sandboxes() string { return filepath.Join(d.State, "sandboxes") }

// Sandbox is the directory of one sandbox: its record, its name files, its /dev/shm.
func (d Dirs) Sandbox(id string) string { return filepath.Join(d.Sandboxes(), id) }

// Shm is where one sandbox's /dev/shm is mounted.
func (d Dirs) Shm(id string) string { return filepath.Join(d.Sandbox(id), "shm") }

// Containers has a directory for each container, by its ID.
func (d Dirs) Containers() string { return filepath.Join(d.State, "containers") }

// Container is the directory of one container: its record, the state of its log, an OCI program's bundle.
func (d Dirs) Container(id string) string { return filepath.Join(d.Containers(), id) }

// Programs has a directory for each OCI program, by its runtime handler, with one in it for each container that it has made, by
// the container's ID.
func (d Dirs) Programs() string { return filepath.Join(d.State, "runtimes") }

// ProgramTops are the directories of Programs. One that has no container in it any more may be of a handler that is gone.
func (d Dirs) ProgramTops() ([]string, error) {
	entries, err := os.ReadDir(d.Programs())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var tops []string
	for _, e := range entries {
		tops = append(tops, filepath.Join(d.Programs(), e.Name()))
	}
	return tops, err
}

// Uppers is where containers' writable layers are: on the disk of Root, as they may be large.
func (d Dirs) Uppers() string { return filepath.Join(d.Root, "containers") }

// UpperTops are the directories of Uppers, one for each digit with which an ID can begin: see [linux.SpreadBelow].
func (d Dirs) UpperTops() []string {
	var tops []string
	for _, digit := range "0123456789abcdef" {
		tops = append(tops, filepath.Join(d.Uppers(), string(digit)))
	}
	return tops
}

// Upper is the directory of one container's writable layer.
func (d Dirs) Upper(id string) string { return filepath.Join(d.Uppers(), id[:1], id) }

// MountPoints is the layer below every image's.
func (d Dirs) MountPoints() string { return filepath.Join(d.Root, "mountpoints") }

// SandboxRecord is the file of one sandbox's record.
func (d Dirs) SandboxRecord(id string) string { return filepath.Join(d.Sandbox(id), "sandbox.json") }

// ContainerRecord is the file of one container's record.
func (d Dirs) ContainerRecord(id string) string {
	return filepath.Join(d.Container(id), "container.json")
}
