package volume

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hull-pods/hull/internal/linux"
)

// maxMessage is how much of a termination message counts: its end.
const maxMessage = 4096

// TerminationFile makes the file into which one run of a container writes its termination message, and opens it for the
// mount. Its name is the path by which [TerminationMessage] finds it.
func (v *Volumes) TerminationFile(uid types.UID, container string) (*os.File, error) {
	if err := plain(string(uid), container); err != nil {
		return nil, fmt.Errorf("make termination file: %w", err)
	}
	dir := filepath.Join(v.disk(uid), "containers")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make termination file: %w", err)
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails
	path := filepath.Join(dir, container+"-"+hex.EncodeToString(random))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("make termination file: %w", err)
	}
	err = errors.Join(f.Chmod(0o666), f.Close()) // whatever the umask is
	if err == nil {
		f, err = linux.OpenSource(path)
	}
	if err != nil {
		return nil, fmt.Errorf("make termination file: %w", errors.Join(err, os.Remove(path)))
	}
	return f, nil
}

// TerminationMessage reads what a container left in its termination file. A file that is not there says nothing.
func TerminationMessage(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read termination message: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a file")
	}
	if err == nil {
		_, err = f.Seek(max(0, info.Size()-maxMessage), io.SeekStart)
	}
	if err != nil {
		return "", fmt.Errorf("read termination message: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxMessage))
	if err != nil {
		return "", fmt.Errorf("read termination message: %w", err)
	}
	return string(data), nil
}

// RemoveTerminationFile removes the file when its container's record goes.
func RemoveTerminationFile(path string) error {
	if err := linux.Remove(path); err != nil {
		return fmt.Errorf("remove termination file: %w", err)
	}
	return nil
}
