package image

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/hull-pods/hull/internal/image/class"
	"github.com/hull-pods/hull/internal/image/layer"
	"github.com/hull-pods/hull/internal/undo"
)

// upperdirLabel is where the snapshotter says which directory a snapshot is.
const upperdirLabel = "containerd.io/snapshot/overlay.upperdir"

// unpacked counts how many of the chain are unpacked already, from the lowest, and leases them.
func (b *bringer) unpacked(ctx context.Context, chain []string) int {
	lease, _ := leases.FromContext(ctx)
	for i, id := range slices.Backward(chain) {
		if _, err := b.snaps.Stat(ctx, id); err != nil {
			continue
		}
		resource := leases.Resource{ID: id, Type: "snapshots/" + snapshotter}
		if err := b.leases.AddResource(ctx, leases.Lease{ID: lease}, resource); err != nil {
			continue
		}
		if _, err := b.snaps.Stat(ctx, id); err == nil { // not collected in between
			return i + 1
		}
	}
	return 0
}

// takes is how much of the disk unpacked layers take.
func (b *bringer) takes(ctx context.Context, chain []string) (size int64) {
	for _, id := range chain {
		if u, err := b.snaps.Usage(ctx, id); err == nil {
			size += u.Size
		}
	}
	return size
}

// unpack makes the snapshot of the last of chain, upon the others, from a packed layer that is here. It returns how many bytes
// that were, which may be no more than most.
func (b *bringer) unpack(ctx context.Context, desc ocispec.Descriptor, diffID digest.Digest, chain []string, most int64, show *bar) (n int64, err error) {
	id := chain[len(chain)-1]
	unlock, err := b.chains.Lock(ctx, id)
	if err != nil {
		return 0, err
	}
	defer unlock()
	parent := ""
	if len(chain) > 1 {
		parent = chain[len(chain)-2]
	}
	key := "unpack " + rand.Text() + " " + id
	var back undo.Stack
	defer back.Run(ctx, &err)
	if err := back.Push(fpUnpack, "remove half unpacked layer", func(ctx context.Context) error {
		if err := b.snaps.Remove(ctx, key); !errdefs.IsNotFound(err) {
			return err
		}
		return nil
	}); err != nil {
		return 0, err
	}
	mounts, err := b.snaps.Prepare(ctx, key, parent, snapshots.WithLabels(map[string]string{snapshots.LabelSnapshotRef: id}))
	if errdefs.IsAlreadyExists(err) { // another image's pull was faster; it is leased now
		show.state(LayerDone)
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("prepare layer %s: %w", desc.Digest, err)
	}
	dir, lower, err := directories(mounts)
	if err != nil {
		return 0, err
	}
	show.state(LayerUnpacking)
	if n, err = b.apply(ctx, desc, diffID, dir, lower, most, show); err != nil {
		return 0, fmt.Errorf("failed to extract layer %s: %w", desc.Digest, refused(err))
	}
	if err := fpCommit.Hit(); err != nil {
		return 0, err
	}
	// The files must be on the disk before the database says that they are.
	if err := layer.Sync(dir); err != nil {
		return 0, fmt.Errorf("write layer %s to the disk: %w", desc.Digest, err)
	}
	if err := b.snaps.Commit(ctx, id, key); err != nil {
		return 0, fmt.Errorf("commit layer %s: %w", desc.Digest, err)
	}
	back.Release()
	show.state(LayerDone)
	return n, nil
}

// directories reads from the snapshotter's mount the directory to write to and those below it, top first. Nothing is
// mounted: a layer is written as overlayfs would have left it.
func directories(mounts []mount.Mount) (dir string, lower []string, err error) {
	if len(mounts) != 1 {
		return "", nil, fmt.Errorf("snapshotter gave %d mounts, want one", len(mounts))
	}
	m := mounts[0]
	if m.Type == "bind" {
		return m.Source, nil, nil
	}
	for _, o := range m.Options {
		switch k, v, _ := strings.Cut(o, "="); k {
		case "upperdir":
			dir = v
		case "lowerdir":
			lower = strings.Split(v, ":")
		}
	}
	if dir == "" {
		return "", nil, fmt.Errorf("snapshotter gave a %s mount without a directory to write to", m.Type)
	}
	return dir, lower, nil
}

// apply unpacks the layer into dir and verifies that its unpacked bytes, of which it returns the number, are those that the image's
// config names.
func (b *bringer) apply(ctx context.Context, desc ocispec.Descriptor, diffID digest.Digest, dir string, lower []string, most int64, show *bar) (_ int64, err error) {
	ra, err := b.content.ReaderAt(ctx, desc)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, ra.Close()) }()
	plain, err := layer.Decompress(&counted{Reader: content.NewReader(ra), bar: show})
	if err != nil {
		return 0, err
	}
	defer plain.Close() //nolint:errcheck // a reader in memory
	verifier := diffID.Algorithm().Digester()
	unpacked := &counter{Reader: io.TeeReader(plain, verifier.Hash())}
	stream := layer.Bounded(unpacked, most)
	if err := layer.Unpack(ctx, stream, dir, lower, most); err != nil {
		return 0, err
	}
	if _, err := io.Copy(io.Discard, stream); err != nil { // what follows the archive's end belongs to the digest
		return 0, err
	}
	if got := verifier.Digest(); got != diffID {
		return 0, class.Of(fmt.Errorf("wrong diff ID: the layer unpacks to %s, the image's config says %s", got, diffID), errdefs.ErrDataLoss)
	}
	return unpacked.n, nil
}
