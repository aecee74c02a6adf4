package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/containerd/containerd/v2/core/remotes"
	remoteerrors "github.com/containerd/containerd/v2/core/remotes/errors"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/hull-pods/hull/internal/image/class"
)

// fetch brings one blob into the store, unless it is there, and verifies its digest. A blob that was begun before goes on
// from where it ended; one that is not what its digest says is thrown away.
func (b *bringer) fetch(ctx context.Context, from remotes.Fetcher, desc ocispec.Descriptor, show *bar) error {
	unlock, err := b.blobs.Lock(ctx, desc.Digest.String())
	if err != nil {
		return err
	}
	defer unlock()
	if err := b.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer b.slots.Release(1)
	if err := fpBlob.Hit(); err != nil {
		return err
	}
	show.state(LayerDownloading)
	err = remotes.Fetch(ctx, b.content, countingFetcher{from, show}, desc)
	if status := (remoteerrors.ErrUnexpectedStatus{}); errors.As(err, &status) && status.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		// A registry that cannot go on in the middle: begin again.
		if err = b.abort(ctx, desc); err == nil {
			err = remotes.Fetch(ctx, b.content, countingFetcher{from, show}, desc)
		}
	}
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return b.failedFetch(ctx, desc, err)
	}
	show.state(LayerDownloaded)
	return nil
}

// failedFetch throws away what can never become the blob, and says so.
func (b *bringer) failedFetch(ctx context.Context, desc ocispec.Descriptor, err error) error {
	if !errdefs.IsFailedPrecondition(err) {
		return fmt.Errorf("failed to copy %s: %w", desc.Digest, err)
	}
	err = class.Of(fmt.Errorf("what was sent is not %s: %w", desc.Digest, err), errdefs.ErrDataLoss)
	return errors.Join(err, b.abort(ctx, desc))
}

// abort throws away what has come of a blob.
func (b *bringer) abort(ctx context.Context, desc ocispec.Descriptor) error {
	err := b.content.Abort(context.WithoutCancel(ctx), remotes.MakeRefKey(ctx, desc))
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("throw away what came of %s: %w", desc.Digest, err)
	}
	return nil
}

// countingFetcher shows on a bar what comes.
type countingFetcher struct {
	from remotes.Fetcher
	bar  *bar
}

func (f countingFetcher) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	rc, err := f.from.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	seeker, ok := rc.(io.Seeker)
	if !ok {
		return nil, errors.Join(errors.New("the source of a blob cannot seek"), rc.Close())
	}
	return &countedSeeker{counted: counted{Reader: rc, bar: f.bar}, Closer: rc, seeker: seeker}, nil
}

// here is the fetcher of a load: everything is in the store, or nowhere.
type here struct{}

func (here) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	return nil, fmt.Errorf("%s %s is not in the archive: %w", desc.MediaType, desc.Digest, errdefs.ErrNotFound)
}
