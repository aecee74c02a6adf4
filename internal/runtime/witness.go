package runtime

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
)

// witness is the reading end of a pipe of which a process that is being born alone has the other: it writes a byte when
// nothing is left to do but the execve, which closes it. The keeper holds it, for the hulld that comes after a crash.
type witness struct{ f *os.File }

// takeWitness takes it out of a keeper's record, where it comes first.
func takeWitness(k *keeper.Record) witness {
	if len(k.FDs) == 0 {
		return witness{}
	}
	w := witness{k.FDs[0]}
	k.FDs = k.FDs[1:]
	return w
}

func (w witness) close() {
	if w.f != nil {
		_ = w.f.Close()
	}
}

// testify waits until the birth is over, and tells whether the execve was reached. It leaves the word where it is, for the
// hulld after this one.
func (w witness) testify(limit time.Duration) (ran bool, err error) {
	if w.f == nil {
		return false, errors.New("the keeper holds no witness")
	}
	fd := int(w.f.Fd())
	over := []unix.PollFd{{Fd: int32(fd)}} // POLLHUP, which need not be asked for: nobody has the other end any more
	n, err := unix.Poll(over, int(limit.Milliseconds()))
	for err == unix.EINTR {
		n, err = unix.Poll(over, int(limit.Milliseconds()))
	}
	if err == nil && n == 0 {
		err = os.ErrDeadlineExceeded
	}
	if err != nil {
		return false, fmt.Errorf("wait for the end of a birth: %w", err)
	}
	there, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // FIONREAD
	if err != nil {
		return false, fmt.Errorf("look for the word of a birth: %w", err)
	}
	return there > 0, nil
}
