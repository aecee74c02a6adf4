package starter

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hull-pods/hull/internal/oci"
	"github.com/hull-pods/hull/internal/starter/compile"
)

// writeBundle makes the caller's directory what hooks expect of a bundle: config.json, and rootfs, which for those that run
// inside before pivot_root is the root.
func writeBundle(r Request, f *compile.Facts) error {
	if r.Bundle == "" {
		return invalid("hooks without a bundle directory")
	}
	root := filepath.Join(r.Bundle, "rootfs")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return fmt.Errorf("make the bundle: %w", err)
	}
	if compile.WantsHost(r.Spec) {
		f.Attach = root
	}
	return WriteConfig(r.Bundle, r.Spec)
}

// WriteConfig writes a spec as config.json into a bundle directory.
func WriteConfig(bundle string, spec *oci.Spec) error {
	data, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("encode the spec: %w", err)
	}
	if err := os.WriteFile(filepath.Join(bundle, "config.json"), data, 0o600); err != nil {
		return fmt.Errorf("write the spec: %w", err)
	}
	return nil
}
