package starter

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/birth"
)

// lastWord is why a process that was to go on is not there any more: the failure that it has told, or that it was killed. Any other
// error stays as it is.
func lastWord(conn birth.Conn, err error) error {
	if !errors.Is(err, errDied) && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		return err
	}
	for {
		e, said := birth.Await(conn)
		closeFiles(e.FDs)
		var f *birth.Failure
		switch {
		case errors.As(said, &f):
			return said
		case said != nil || e.State != birth.Told:
			return errDied
		}
	}
}
