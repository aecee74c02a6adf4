package image

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata/boltutil"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

// transact runs fn with every change of the metadata in one transaction.
func (s *Store) transact(ctx context.Context, fn func(context.Context) error) error {
	return s.db.Update(func(tx *bolt.Tx) error { return fn(boltutil.WithTransaction(ctx, tx)) })
}

// point writes, as labels, what each document of an image needs: the way that collecting goes from names to blobs and layers.
//
//	name → index → … → manifest → config → the snapshot of the whole chain → the snapshots below it
//	                            → layers (packed)
func (s *Store) point(ctx context.Context, a admission) error {
	refs := map[digest.Digest]map[string]string{}
	way := append(append([]digest.Digest{}, digests(a.tree)...), a.tree.config.Digest)
	for i, d := range way[:len(way)-1] {
		refs[d] = map[string]string{"containerd.io/gc.ref.content.0": way[i+1].String()}
	}
	for i, l := range a.tree.layers {
		refs[a.tree.manifest.Digest][fmt.Sprintf("containerd.io/gc.ref.content.l.%d", i)] = l.Digest.String()
	}
	if chain := chainIDs(a.config); len(chain) > 0 {
		refs[a.tree.config.Digest] = map[string]string{"containerd.io/gc.ref.snapshot." + snapshotter: chain[len(chain)-1]}
	}
	for d, labels := range refs {
		if _, err := s.content.Update(ctx, content.Info{Digest: d, Labels: labels}, "labels"); err != nil {
			return fmt.Errorf("label %s: %w", d, err)
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
func (s *Store) collect(ctx context.Context) error {
	s.collector.Lock()
	defer s.collector.Unlock()
	if _, err := s.db.GarbageCollect(s.context(context.WithoutCancel(ctx))); err != nil {
		return fmt.Errorf("collect unused image content: %w", err)
	}
	return nil
}

// clean is what Open does first: layers that were being unpacked when the last process ended are useless, and so are the
// blobs of pulls whose time to go on is over.
func (s *Store) clean(ctx context.Context) error {
	var half []string
	err := s.snaps.Walk(ctx, func(_ context.Context, i snapshots.Info) error {
		half = append(half, i.Name)
		return nil
	}, "kind==active")
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("list layers: %w", err)
	}
	for _, key := range half {
		if err := s.snaps.Remove(ctx, key); err != nil {
			return fmt.Errorf("remove half unpacked layer: %w", err)
		}
	}
	old, err := s.leases.List(ctx)
	if err != nil {
		return fmt.Errorf("list leases: %w", err)
	}
	for _, l := range old {
		end := l.CreatedAt.Add(s.config.KeepPartial)
		if strings.HasPrefix(l.ID, loadKey) { // a load begins anew each time
			end = l.CreatedAt
		}
		s.keepUntil(l.ID, end)
	}
	if err := os.Remove(s.closedWell()); err == nil {
		return nil
	}
	s.kept.wg.Go(func() {
		if err := s.collectAll(ctx); err != nil {
			s.log.Warn("leftovers in the image store stay until the next start", "error", err)
		}
	})
	return nil
}

// collectAll looks at everything on the disk. containerd's collector looks only where it knows of a removal, and does not
// know of those that a crash left half done: so one is made in each place.
func (s *Store) collectAll(ctx context.Context) error {
	name := "collect " + rand.Text()
	desc := ocispec.Descriptor{Digest: digest.FromString(name), Size: int64(len(name))}
	err := errors.Join(
		content.WriteBlob(ctx, s.content, name, strings.NewReader(name), desc),
		s.content.Delete(ctx, desc.Digest),
	)
	if err != nil {
		return fmt.Errorf("write and remove a blob: %w", err)
	}
	if _, err := s.snaps.Prepare(ctx, name, ""); err != nil {
		return fmt.Errorf("make a layer: %w", err)
	}
	if err := s.snaps.Remove(ctx, name); err != nil {
		return fmt.Errorf("remove a layer: %w", err)
	}
	return s.collect(ctx)
}

// closedWell is a file that is there when the last process closed the store.
func (s *Store) closedWell() string { return filepath.Join(s.root, "closed") }

// keep decides about what a pull that failed has brought: its blobs are kept for the next try, or collected at once when the
// disk is full, or when a load brought them; half unpacked layers go in any case. On a full disk the ballast gives the space
// to write down what is removed.
func (s *Store) keep(ctx context.Context, key string, cause error) error {
	noSpace := full(s.classify(cause))
	if !noSpace && !strings.HasPrefix(key, loadKey) && s.config.KeepPartial > 0 {
		s.keepUntil(key, time.Now().Add(s.config.KeepPartial))
		return s.collect(ctx)
	}
	if noSpace {
		if err := os.Remove(s.ballast()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("free the ballast: %w", err)
		}
	}
	return errors.Join(s.endLease(ctx, key), s.collect(ctx), s.inflate())
}

func (s *Store) endLease(ctx context.Context, key string) error {
	err := s.leases.Delete(s.context(context.WithoutCancel(ctx)), leases.Lease{ID: key})
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

func (s *Store) keepUntil(key string, end time.Time) {
	k := &s.kept
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
		ended, err := s.endKept(key, l)
		if !ended {
			return
		}
		defer k.wg.Done()
		if err := errors.Join(err, s.collect(context.Background())); err != nil {
			s.log.Warn("what a failed pull had brought is not removed yet", "error", err)
		}
	})
}

// endKept ends a lease unless a pull has taken it. The lock is held until it has ended, so that no pull takes it meanwhile.
func (s *Store) endKept(key string, l *keptLease) (bool, error) {
	k := &s.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.leases[key] != l {
		return false, nil
	}
	delete(k.leases, key)
	k.wg.Add(1)
	return true, s.endLease(context.Background(), key)
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

// ballastSize is enough for bbolt to write the pages that a removal changes.
const ballastSize = 1 << 20

func (s *Store) ballast() string { return filepath.Join(s.root, "ballast") }

// inflate puts the ballast in place, as bytes that take space. A disk that has no room for it has none for images either,
// but what is there can be used.
func (s *Store) inflate() error {
	if fi, err := os.Stat(s.ballast()); err == nil && fi.Size() == ballastSize {
		return nil
	}
	err := os.WriteFile(s.ballast(), make([]byte, ballastSize), 0o600)
	if err == nil || full(s.classify(err)) {
		return nil
	}
	return fmt.Errorf("write ballast: %w", err)
}
