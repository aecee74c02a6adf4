package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
)

// chosenPool is the pool of last time, as long as it is not lost to another, or a new choice.
func chosenPool(dir string, log *slog.Logger, lost func(netip.Prefix) bool, choose func() (netip.Prefix, error)) (netip.Prefix, error) {
	var chosen struct {
		Version int          `json:"version"`
		IPv4    netip.Prefix `json:"ipv4"`
	}
	path := filepath.Join(dir, "pool.json")
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &chosen)
	}
	if err == nil && chosen.Version == leaseVersion && chosen.IPv4.IsValid() && !lost(chosen.IPv4) {
		return chosen.IPv4, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("the pool chosen earlier cannot be read: choosing anew", "file", path, "error", err)
	}
	chosen.Version = leaseVersion
	if chosen.IPv4, err = choose(); err != nil {
		return netip.Prefix{}, err
	}
	if b, err = json.Marshal(chosen); err == nil {
		err = replaceFile(path, append(b, '\n'))
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("write the chosen pool: %w", err)
	}
	return chosen.IPv4, nil
}
