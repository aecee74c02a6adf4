package image

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/image/class"
)

// classify finds the class of what containerd's libraries, the network or the disk said. The words stay, with the way out
// added where the cause alone would leave a person puzzled.
func (d *disk) classify(err error) error {
	var status remoteerrors.ErrUnexpectedStatus
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return class.Of(fmt.Errorf("%w: the disk of %s is full: make room, for instance with \"hull image rm\"", err, d.root), errdefs.ErrResourceExhausted)
	case errors.Is(err, docker.ErrInvalidAuthorization):
		return class.Of(err, errdefs.ErrUnauthenticated)
	case errors.As(err, &status):
		return class.Of(err, statusClass(status.StatusCode))
	case hasClass(err):
		return err
	case errors.As(err, &dns), errors.As(err, &op):
		return class.Of(err, errdefs.ErrUnavailable)
	}
	return err
}

// refused gives an error of unpacking a layer its class. A layer can be wrong in every way that a format and a file system know; what
// is not this machine's trouble is the layer's own.
func refused(err error) error {
	ours := []error{
		unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EPERM, unix.EACCES,
		context.Canceled, context.DeadlineExceeded, failpoint.ErrInjected,
	}
	if hasClass(err) || slices.ContainsFunc(ours, func(o error) bool { return errors.Is(err, o) }) {
		return err
	}
	return class.Of(err, errdefs.ErrInvalidArgument)
}

// refusedArchive is an error of a load: what an archive lacks, or gives a digest that it has not, is wrong with the archive.
func refusedArchive(err error) error {
	if errdefs.IsNotFound(err) || errdefs.IsDataLoss(err) {
		return class.Of(err, errdefs.ErrInvalidArgument)
	}
	return err
}

// statusClass is what an HTTP status of a registry means to the one who asked for an image.
func statusClass(code int) error {
	switch code {
	case 401:
		return errdefs.ErrUnauthenticated
	case 403:
		return errdefs.ErrPermissionDenied
	case 404:
		return errdefs.ErrNotFound
	}
	return errdefs.ErrUnavailable
}

func hasClass(err error) bool {
	for _, is := range []func(error) bool{
		errdefs.IsNotFound, errdefs.IsInvalidArgument, errdefs.IsFailedPrecondition, errdefs.IsUnavailable, errdefs.IsDataLoss,
		errdefs.IsUnauthorized, errdefs.IsPermissionDenied, errdefs.IsResourceExhausted, errdefs.IsNotImplemented,
	} {
		if is(err) {
			return true
		}
	}
	return false
}

// full says whether the disk is why err happened: then nothing half done is worth keeping.
func full(err error) bool { return errdefs.IsResourceExhausted(err) }
