package linux_test

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

func TestGetsockopt(t *testing.T) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	value := make([]byte, 16)
	n, err := linux.Getsockopt(fd, unix.SOL_SOCKET, unix.SO_TYPE, value)
	if err != nil || n != 4 || binary.NativeEndian.Uint32(value) != unix.SOCK_DGRAM {
		t.Errorf("%d bytes of %v, %v", n, value, err)
	}
	if _, err := linux.Getsockopt(fd, unix.SOL_IP, 1, value); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("an option that is not: %v", err)
	}
}
