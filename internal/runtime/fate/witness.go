package fate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// birthLimit is how long a birth may go on after hulld's death. Nothing in it waits, unless the kernel does.
const birthLimit = 10 * time.Second

// Ran tells whether a container whose start is on record came to run its command: the hulld that wrote the record may have
// died before its process had all that it needed. One that then could not execute its command ends as if that had exited
// with status 1. An OCI program leaves no word; it is on record when its create and start are done.
func Ran(ctx context.Context, client *keeper.Client, k *keeper.Record, byProgram bool, thaw func(pid int) error, log *slog.Logger) (bool, error) {
	w := TakeWitness(k)
	defer w.Close()
	if byProgram {
		return true, nil
	}
	ran, err := w.Testify(birthLimit)
	if err != nil {
		log.Warn("a container's birth does not come to its end", "key", k.Key, "err", err)
		return false, Kill(ctx, client, k, thaw)
	}
	return ran, nil
}

// ErrIncomplete says that the keeper has not got all of a container, and never will.
var ErrIncomplete = errors.New("the keeper holds too few descriptors of it")

// TakeEnds takes the ends of a container's log out of a keeper's record, which come first once the witness is taken, and what is
// kept behind them.
func TakeEnds(k *keeper.Record, n int) (ends, more []*os.File, err error) {
	fds := k.FDs
	if len(fds) < n {
		return nil, nil, fmt.Errorf("%w: %d, not %d", ErrIncomplete, len(fds), n)
	}
	k.FDs = nil
	return fds[:n:n], fds[n:], nil
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
