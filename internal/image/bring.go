package image

import (
	"context"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/hull-pods/hull/internal/image/keyed"
	"github.com/hull-pods/hull/internal/image/layer"
)

// bringer brings images onto the disk, from a registry, an archive or a directory: it reads their documents, fetches what is
// missing, and unpacks it.
type bringer struct {
	*disk
	platform platforms.MatchComparer
	slots    *semaphore.Weighted // for blobs that are coming
	blobs    keyed.Lock          // one writer a blob
	chains   keyed.Lock          // one unpacking a chain
}

// bring fetches what is missing of target and unpacks it. Layers come in parallel and are unpacked in order, each as soon as
// it and all below it are there.
func (b *bringer) bring(ctx context.Context, target ocispec.Descriptor, from remotes.Fetcher, p *progress) (tree, ocispec.Image, error) {
	get := func(ctx context.Context, d ocispec.Descriptor) error { return b.fetch(ctx, from, d, nil) }
	t, err := b.walk(ctx, target, get)
	if err != nil {
		return t, ocispec.Image{}, err
	}
	var config ocispec.Image
	if err := b.readConfig(ctx, t, get, &config); err != nil {
		return t, config, err
	}
	bars := p.layers(t.layers)
	chain := chainIDs(config)
	have := b.unpacked(ctx, chain)
	for _, bar := range bars[:have] {
		bar.state(LayerDone)
	}
	g, gctx := errgroup.WithContext(ctx)
	here := make([]chan struct{}, len(t.layers))
	for i := have; i < len(t.layers); i++ {
		here[i] = make(chan struct{})
		g.Go(func() error {
			defer close(here[i])
			return b.fetch(gctx, from, t.layers[i], bars[i])
		})
	}
	// What a try before this one has unpacked counts: it would else go on where that one was stopped.
	left := layer.Limit(packedSize(t.layers)) - b.takes(ctx, chain[:have])
	g.Go(func() error {
		for i := have; i < len(t.layers); i++ {
			select {
			case <-here[i]:
			case <-gctx.Done():
			}
			if gctx.Err() != nil {
				return nil // a download has failed, and that is the error
			}
			n, err := b.unpack(gctx, t.layers[i], config.RootFS.DiffIDs[i], chain[:i+1], left, bars[i])
			if err != nil {
				return err
			}
			left -= n
		}
		return nil
	})
	err = g.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return t, config, err
}

// packedSize is how much is downloaded for these layers: one that is there twice comes once.
func packedSize(layers []ocispec.Descriptor) (size int64) {
	seen := map[digest.Digest]bool{}
	for _, l := range layers {
		if !seen[l.Digest] {
			size += l.Size
		}
		seen[l.Digest] = true
	}
	return size
}
