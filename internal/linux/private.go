package linux

import (
	"fmt"
	"os"
)

// PrivateDirs makes directories that root alone may enter, also where they were there with another mode. What is below may
// then have the modes and owners that containers want: a program that is setuid root in a container's file system or volume
// is out of the reach of the host's other users.
func PrivateDirs(dirs ...string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("close %s to others: %w", dir, err)
		}
	}
	return nil
}
