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
)

// fetch brings one blob into the store, unless it is there, and verifies its digest. A blob that was begun before goes on
// from where it ended; one that is not what its digest says is thrown away.
func (s *Store) fetch(ctx context.Context, from remotes.Fetcher, desc ocispec.Descriptor, b *bar) error {
	unlock, err := s.blobs.lock(ctx, desc.Digest.String())
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.slots.Release(1)
	if err := fpBlob.Hit(); err != nil {
		return err
	}
	b.state(LayerDownloading)
	err = remotes.Fetch(ctx, s.content, countingFetcher{from, b}, desc)
	if status := (remoteerrors.ErrUnexpectedStatus{}); errors.As(err, &status) && status.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		// A registry that cannot go on in the middle: begin again.
		if err = s.abort(ctx, desc); err == nil {
			err = remotes.Fetch(ctx, s.content, countingFetcher{from, b}, desc)
		}
	}
	if err != nil && !errdefs.IsAlreadyExists(err) {
		return s.failedFetch(ctx, desc, err)
	}
	b.state(LayerDownloaded)
	return nil
}

// failedFetch throws away what can never become the blob, and says so.
func (s *Store) failedFetch(ctx context.Context, desc ocispec.Descriptor, err error) error {
	if !errdefs.IsFailedPrecondition(err) {
		return fmt.Errorf("failed to copy %s: %w", desc.Digest, err)
	}
	err = classed{fmt.Errorf("what was sent is not %s: %w", desc.Digest, err), errdefs.ErrDataLoss}
	return errors.Join(err, s.abort(ctx, desc))
}

// abort throws away what has come of a blob.
func (s *Store) abort(ctx context.Context, desc ocispec.Descriptor) error {
	err := s.content.Abort(context.WithoutCancel(ctx), remotes.MakeRefKey(ctx, desc))
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
