package image

import (
	"context"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/platforms"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

// bringer brings images onto the disk, from a registry, an archive or a directory: it reads their documents, fetches what is
// missing, and unpacks it.
type bringer struct {
	*disk
	platform platforms.MatchComparer
	slots    *semaphore.Weighted // for blobs that are coming
	blobs    keyed               // one writer a blob
	chains   keyed               // one unpacking a chain
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
	g.Go(func() error {
		for i := have; i < len(t.layers); i++ {
			select {
			case <-here[i]:
			case <-gctx.Done():
			}
			if gctx.Err() != nil {
				return nil // a download has failed, and that is the error
			}
			if err := b.unpack(gctx, t.layers[i], config.RootFS.DiffIDs[i], chain[:i+1], bars[i]); err != nil {
				return err
			}
		}
		return nil
	})
	err = g.Wait()
	if err == nil {
		err = ctx.Err()
	}
	return t, config, err
}
