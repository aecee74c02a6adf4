package starter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hull-pods/hull/internal/oci"
)

// poststop is what remains to do of a container when it is deleted. It is a file of the bundle, because whoever deletes the
// container may not be the process that started it.
type poststop struct {
	Version int
	Hooks   []oci.Hook
	State   oci.State
}

const poststopVersion = 1

func poststopFile(bundle string) string { return filepath.Join(bundle, "poststop.json") }

// recordPoststop writes it, if there are such hooks. That is before the start: none is lost with a process that dies after it.
func recordPoststop(r Request) error {
	if r.Spec.Hooks == nil || len(r.Spec.Hooks.Poststop) == 0 {
		return nil
	}
	data, err := json.Marshal(poststop{poststopVersion, r.Spec.Hooks.Poststop, stateOf(r, 0, oci.State{Status: oci.StateStopped})})
	if err != nil {
		return fmt.Errorf("encode the poststop hooks: %w", err)
	}
	file := poststopFile(r.Bundle)
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return fmt.Errorf("record the poststop hooks: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("record the poststop hooks: %w", err)
	}
	return nil
}

// forgetPoststop is for a start that came to nothing, and for hooks that have run.
func forgetPoststop(bundle string) error {
	if err := os.Remove(poststopFile(bundle)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the poststop hooks: %w", err)
	}
	return nil
}

func readPoststop(bundle string) (p poststop, err error) {
	data, err := os.ReadFile(poststopFile(bundle))
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err == nil && p.Version > poststopVersion {
		err = fmt.Errorf("version %d, of a newer hulld", p.Version)
	}
	if err != nil {
		return p, fmt.Errorf("read the poststop hooks: %w", err)
	}
	return p, nil
}

// Delete runs the poststop hooks of a container, also those of a start by an earlier process. Their errors only are logged, as the
// runtime spec says. A process that dies in the middle leaves all of them to the next.
func (n *Native) Delete(ctx context.Context, id, bundle string) error {
	if bundle == "" {
		return nil // such a container cannot have had hooks
	}
	p, err := readPoststop(bundle)
	if err != nil {
		n.cfg.Log.Warn("a container's poststop hooks do not run", "container", id, "error", err)
		return nil
	}
	if len(p.Hooks) == 0 {
		return nil
	}
	for i, hook := range p.Hooks {
		if err := runHook(ctx, fmt.Sprintf("poststop hook %d", i+1), hook, p.State); err != nil {
			n.cfg.Log.Warn("a hook failed", "container", id, "error", err)
		}
	}
	return forgetPoststop(bundle)
}
