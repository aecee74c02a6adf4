package birth

import (
	_ "embed" // for the two programs
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/linux"
)

//go:embed init_amd64.bin
var initAMD64 []byte

//go:embed init_arm64.bin
var initARM64 []byte

// initELF is hull-init for an architecture, nil for one that has none.
func initELF(arch linux.Arch) []byte {
	switch arch {
	case linux.AMD64:
		return initAMD64
	case linux.ARM64:
		return initARM64
	}
	return nil
}

// Memfd is hull-init as a file in memory that nobody can write any more, whatever descriptor of it he gets hold of: not a
// container that opens /proc/PID/exe of a process on its way into it. It is executed as /proc/self/fd/N. One serves for all
// processes to come.
func Memfd() (*os.File, error) {
	elf := initELF(linux.Native)
	if elf == nil {
		return nil, fmt.Errorf("make hull-init: none for architecture %s", linux.Native)
	}
	const common = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("hull-init", common|unix.MFD_EXEC)
	seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_EXEC
	if err == unix.EINVAL {
		// Before Linux 6.3 every memfd may be executed, and that cannot be sealed.
		fd, err = unix.MemfdCreate("hull-init", common)
		seals &^= unix.F_SEAL_EXEC
	}
	if err != nil {
		return nil, fmt.Errorf("make hull-init in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "hull-init")
	if err := fill(f, elf, seals); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func fill(f *os.File, elf []byte, seals int) error {
	if _, err := f.Write(elf); err != nil {
		return fmt.Errorf("write hull-init: %w", err)
	}
	if err := unix.Fchmod(int(f.Fd()), 0o555); err != nil {
		return fmt.Errorf("make hull-init executable: %w", err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal hull-init: %w", err)
	}
	return nil
}
