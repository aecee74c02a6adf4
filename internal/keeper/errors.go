package keeper

import (
	"errors"

	"github.com/containerd/errdefs"
)

// classes are the errors that cross the connection, by their names on it.
var classes = []struct {
	name string
	err  error
}{
	{"exists", errdefs.ErrAlreadyExists},
	{"not-found", errdefs.ErrNotFound},
	{"invalid", errdefs.ErrInvalidArgument},
	{"precondition", errdefs.ErrFailedPrecondition},
	{"unimplemented", errdefs.ErrNotImplemented},
	{"unavailable", errdefs.ErrUnavailable},
}

func classOf(err error) string {
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return "internal"
}

func errorOf(class string) error {
	for _, c := range classes {
		if c.name == class {
			return c.err
		}
	}
	return errdefs.ErrInternal
}
