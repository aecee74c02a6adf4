package image

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// point writes, as labels, what each document of an image needs: the way that collecting goes from names to blobs and layers.
//
//	name → index → … → manifest → config → the snapshot of the whole chain → the snapshots below it
//	                            → layers (packed)
func (d *disk) point(ctx context.Context, a admission) error {
	refs := map[digest.Digest]map[string]string{}
	way := append(append([]digest.Digest{}, digests(a.tree)...), a.tree.config.Digest)
	for i, from := range way[:len(way)-1] {
		refs[from] = map[string]string{"containerd.io/gc.ref.content.0": way[i+1].String()}
	}
	for i, l := range a.tree.layers {
		refs[a.tree.manifest.Digest][fmt.Sprintf("containerd.io/gc.ref.content.l.%d", i)] = l.Digest.String()
	}
	if chain := chainIDs(a.config); len(chain) > 0 {
		refs[a.tree.config.Digest] = map[string]string{"containerd.io/gc.ref.snapshot." + snapshotter: chain[len(chain)-1]}
	}
	for of, labels := range refs {
		if _, err := d.content.Update(ctx, content.Info{Digest: of, Labels: labels}, "labels"); err != nil {
			return fmt.Errorf("label %s: %w", of, err)
		}
	}
	return nil
}

func digests(t tree) []digest.Digest {
	var ds []digest.Digest
	for _, d := range t.indexes {
		ds = append(ds, d.Digest)
	}
	return append(ds, t.manifest.Digest)
}

// collect removes what no name and no lease needs: blobs, unfinished blobs, snapshots and their directories.
func (d *disk) collect(ctx context.Context) error {
	d.collector.Lock()
	defer d.collector.Unlock()
	return d.collectLocked(d.context(context.WithoutCancel(ctx)))
}

func (d *disk) collectLocked(ctx context.Context) error {
	if _, err := d.db.GarbageCollect(ctx); err != nil {
		return fmt.Errorf("collect unused image content: %w", err)
	}
	return nil
}

// clean is what Open does first: layers that were being unpacked when the last process ended are useless, and so are the
// blobs of pulls whose time to go on is over.
func (d *disk) clean(ctx context.Context) error {
	var half []string
	err := d.snaps.Walk(ctx, func(_ context.Context, i snapshots.Info) error {
		half = append(half, i.Name)
		return nil
	}, "kind==active")
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("list layers: %w", err)
	}
	for _, key := range half {
		if err := d.snaps.Remove(ctx, key); err != nil {
			return fmt.Errorf("remove half unpacked layer: %w", err)
		}
	}
	old, err := d.leases.List(ctx)
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	for _, l := range old {
		end := l.CreatedAt.Add(d.keepPartial)
		if strings.HasPrefix(l.ID, loadKey) { // a load begins anew each time
			end = l.CreatedAt
		}
		d.keepUntil(l.ID, end)
	}
	if err := os.Remove(d.closedWell()); err == nil {
		return nil
	}
	d.kept.wg.Go(func() {
		if err := d.collectAll(ctx); err != nil {
			d.log.Warn("leftovers in the image store stay until the next start", "error", err)
		}
	})
	return nil
}

// collectAll looks at everything on the disk. containerd's collector looks only where it knows of a removal, and does not
// know of those that a crash, or a full disk, left half done: so one is made in each place.
func (d *disk) collectAll(ctx context.Context) error {
	d.collector.Lock() // or another would collect what is made here before it is removed
	defer d.collector.Unlock()
	ctx = d.context(context.WithoutCancel(ctx))
	return errors.Join(d.removeOfEach(ctx), d.collectLocked(ctx))
}

// removeOfEach makes and removes a blob and a layer.
func (d *disk) removeOfEach(ctx context.Context) error {
	name := "collect " + rand.Text()
	desc := ocispec.Descriptor{Digest: digest.FromString(name), Size: int64(len(name))}
	err := errors.Join(
		content.WriteBlob(ctx, d.content, name, strings.NewReader(name), desc),
		d.content.Delete(ctx, desc.Digest),
	)
	if err != nil {
		return fmt.Errorf("write and remove a blob: %w", err)
	}
	if _, err := d.snaps.Prepare(ctx, name, ""); err != nil {
		return fmt.Errorf("make a layer: %w", err)
	}
	if err := d.snaps.Remove(ctx, name); err != nil {
		return fmt.Errorf("remove a layer: %w", err)
	}
	return nil
}

// keep decides about what a pull that failed has brought: its blobs are kept for the next try, or collected at once when the
// disk is full, or when a load brought them; half unpacked layers go in any case. On a full disk the ballast gives the space
// to write down what is removed, and everything is looked at: what could not be written is not known to be there.
func (d *disk) keep(ctx context.Context, key string, cause error) error {
	noSpace := full(d.classify(cause))
	if !noSpace && !strings.HasPrefix(key, loadKey) && d.keepPartial > 0 {
		d.keepUntil(key, time.Now().Add(d.keepPartial))
		return d.collect(ctx)
	}
	if !noSpace {
		return errors.Join(d.endLease(ctx, key), d.collect(ctx))
	}
	d.wasFull.Store(true)
	if err := os.Remove(d.ballast()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("free the ballast: %w", err)
	}
	return errors.Join(d.endLease(ctx, key), d.collectAll(ctx), d.inflate())
}

func (d *disk) endLease(ctx context.Context, key string) error {
	err := d.leases.Delete(d.context(context.WithoutCancel(ctx)), leases.Lease{ID: key})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("end lease: %w", err)
	}
	return nil
}

// kept are the leases of pulls that failed, each with the timer that ends it in the end.
type kept struct {
	mu     sync.Mutex
	leases map[string]*keptLease
	closed bool
	wg     sync.WaitGroup
}

type keptLease struct{ timer *time.Timer }

func (d *disk) keepUntil(key string, end time.Time) {
	k := &d.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return // the next Open finds the lease
	}
	if k.leases == nil {
		k.leases = map[string]*keptLease{}
	}
	l := &keptLease{}
	k.leases[key] = l
	l.timer = time.AfterFunc(time.Until(end), func() {
		ended, err := d.endKept(key, l)
		if !ended {
			return
		}
		defer k.wg.Done()
		if err := errors.Join(err, d.collect(context.Background())); err != nil {
			d.log.Warn("what a failed pull had brought is not removed yet", "error", err)
		}
	})
}

// endKept ends a lease unless a pull has taken it. The lock is held until it has ended, so that no pull takes it meanwhile.
func (d *disk) endKept(key string, l *keptLease) (bool, error) {
	k := &d.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.leases[key] != l {
		return false, nil
	}
	delete(k.leases, key)
	k.wg.Add(1)
	return true, d.endLease(context.Background(), key)
}

// take gives a kept lease to the pull that goes on with it: its timer does nothing any more.
func (k *kept) take(key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l := k.leases[key]; l != nil {
		l.timer.Stop()
		delete(k.leases, key)
	}
}

func (k *kept) end() {
	k.mu.Lock()
	k.closed = true
	for _, l := range k.leases {
		l.timer.Stop()
	}
	k.mu.Unlock()
	k.wg.Wait()
}
