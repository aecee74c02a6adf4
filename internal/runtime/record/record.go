// Package record is what the runtime has on disk of its sandboxes and containers: what they shall be and are, where that is
// written, and how.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/runtime/process"
	"github.com/hull-pods/hull/internal/starter"
)

// Version is written into every record; a newer one than ours is refused, older ones are read.
const Version = 1

// Phase says how far a record's thing had come when it was written: what start-up after a crash may rely on.
type Phase string

const (
	Making  Phase = "making"  // anything of it may exist, or nothing: it is taken back
	Ready   Phase = "ready"   // a sandbox that is up; a container that is created, running or ended, by its status
	Removed Phase = "removed" // being removed: the removal goes on
)

// Sandbox is STATE/sandboxes/ID/sandbox.json.
type Sandbox struct {
	Version int
	Phase   Phase
	Status  SandboxStatus
}

// Container is STATE/containers/ID/container.json.
type Container struct {
	Version int
	Phase   Phase
	Status  ContainerStatus
	Who     process.Identity
	Facts   starter.Facts // of the host, by which the process was born
}

func (s *Sandbox) version() int   { return s.Version }
func (c *Container) version() int { return c.Version }

// Unstart takes a start off the record.
func (c *Container) Unstart() {
	c.Status.State, c.Status.PID, c.Status.StartedAt = ContainerCreated, 0, time.Time{}
}

// versioned is a [Sandbox] or a [Container].
type versioned interface{ version() int }

// Write replaces a record in one step: a reader, or a start after a crash, sees the old one or the new one. It is
// not synced: the state directory does not outlive the machine's boot, and neither does what it describes.
func Write(path string, record versioned) error {
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

// IfRoom takes an error of Write, and is nil where the disk was too full. A removal goes on without a record: it makes room, and who
// finds the record as it was after a crash begins the removal again.
func IfRoom(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil
	}
	return err
}

// Read reads what Write wrote; fs.ErrNotExist when there is none, errdefs.ErrDataLoss when nobody can make it out.
func Read(path string, record versioned) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	err = json.Unmarshal(data, record)
	switch v := record.version(); {
	case v > Version:
		return fmt.Errorf("record %s has version %d, this hulld knows %d: a newer hulld wrote it", path, v, Version)
	case err != nil:
		return fmt.Errorf("decode record %s: %w: %w", path, errdefs.ErrDataLoss, err)
	case v < 1:
		return fmt.Errorf("decode record %s: %w: it has no version", path, errdefs.ErrDataLoss)
	}
	return nil
}

// Unread takes an error of Read, and is nil where nobody can say any more whose the record was: hulld died between mkdir and the first
// one, or it is broken. That of one Pod must not keep hulld from running the others: what it was of is a leftover, and its Pod sees it
// gone.
func Unread(err error, log *slog.Logger) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errdefs.IsDataLoss(err):
		log.Error("a record is broken: what it was of is removed", "err", err)
		return nil
	}
	return err
}

// IDs lists the IDs that have a directory under dir; none when dir does not exist.
func IDs(dir string) ([]string, error) {
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
