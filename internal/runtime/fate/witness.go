package fate

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/keeper"
)

// Witness is the reading end of a pipe of which a process that is being born alone has the other: it writes a byte when
// nothing is left to do but the execve, which closes it. The keeper holds it, for the hulld that comes after a crash.
type Witness struct{ f *os.File }

// TakeWitness takes it out of a keeper's record, where it comes first.
func TakeWitness(k *keeper.Record) Witness {
	if len(k.FDs) == 0 {
		return Witness{}
	}
	w := Witness{k.FDs[0]}
	k.FDs = k.FDs[1:]
	return w
}

// Close lets go of it.
func (w Witness) Close() {
	if w.f != nil {
		_ = w.f.Close()
	}
}

// Testify waits until the birth is over, and tells whether the execve was reached. It leaves the word where it is, for the
// hulld after this one.
func (w Witness) Testify(limit time.Duration) (ran bool, err error) {
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
