package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hull-pods/hull/internal/runtime/process"
	"github.com/hull-pods/hull/internal/starter"
)

// recordVersion is written into every record; a newer one than ours is refused, older ones are read.
const recordVersion = 1

// phase says how far a record's thing had come when it was written: what start-up after a crash may rely on.
type phase string

const (
	phaseMaking  phase = "making"  // anything of it may exist, or nothing: it is taken back
	phaseReady   phase = "ready"   // a sandbox that is up; a container that is created, running or ended, by its status
	phaseRemoved phase = "removed" // being removed: the removal goes on
)

// sandboxRecord is STATE/sandboxes/ID/sandbox.json.
type sandboxRecord struct {
	Version int
	Phase   phase
	Status  SandboxStatus
}

// containerRecord is STATE/containers/ID/container.json.
type containerRecord struct {
	Version int
	Phase   phase
	Status  ContainerStatus
	Who     process.Identity
	Facts   starter.Facts // of the host, by which the process was born
}

// writeRecord replaces a record in one step: a reader, or a start after a crash, sees the old one or the new one. It is
// not synced: the state directory does not outlive the machine's boot, and neither does what it describes.
func writeRecord(path string, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode record %s: %w", path, err)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// readRecord reads what writeRecord wrote; fs.ErrNotExist when there is none.
func readRecord(path string, record any, version func() int) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	if err := json.Unmarshal(data, record); err != nil {
		return fmt.Errorf("decode record %s: %w", path, err)
	}
	if v := version(); v > recordVersion {
		return fmt.Errorf("record %s has version %d, this hulld knows %d: a newer hulld wrote it", path, v, recordVersion)
	}
	return nil
}

// recordDirs lists the IDs that have a directory under dir; none when dir does not exist.
func recordDirs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	var ids []string
	for _, e := range entries {
		if e.IsDir() && validID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// layout is where the runtime keeps things.
type layout struct {
	root, state string
}

func (l layout) sandboxes() string          { return filepath.Join(l.state, "sandboxes") }
func (l layout) sandbox(id string) string   { return filepath.Join(l.sandboxes(), id) }
func (l layout) containers() string         { return filepath.Join(l.state, "containers") }
func (l layout) container(id string) string { return filepath.Join(l.containers(), id) }

// uppers is where containers' writable layers are: on the disk of root, as they may be large.
func (l layout) uppers() string         { return filepath.Join(l.root, "containers") }
func (l layout) upper(id string) string { return filepath.Join(l.uppers(), id) }

// mountPoints is the layer below every image's.
func (l layout) mountPoints() string { return filepath.Join(l.root, "mountpoints") }

func (l layout) sandboxRecord(id string) string { return filepath.Join(l.sandbox(id), "sandbox.json") }
func (l layout) containerRecord(id string) string {
	return filepath.Join(l.container(id), "container.json")
}
