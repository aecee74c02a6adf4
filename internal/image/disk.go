package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/metadata/boltutil"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/hull-pods/hull/internal/boltfile"
	"github.com/hull-pods/hull/internal/image/class"
	"github.com/hull-pods/hull/internal/linux"
)

const (
	// namespace is the one in containerd's metadata that everything of Hull is in.
	namespace = "hull"
	// snapshotter is the name under which metadata knows the snapshots; labels carry it.
	snapshotter = "overlayfs"
	// lockWait is how long another process may hold the store before Open gives up.
	lockWait = 2 * time.Second
)

// disk is the store's directory and the libraries that write it:
//
//	content/    packed blobs by digest, and those that are still coming
//	snapshots/  unpacked layers, one directory each
//	meta.db     names, labels, leases (containerd's metadata); its lock is the store's
//	ballast     a little space that is given up when the disk is full, so that cleaning can write
//	empty/      the root of an image without layers
//	closed      says that the last process ended well, and left nothing half done
//
// What must not be collected is named, leased by a running pull, or kept for a pull that failed and may go on.
type disk struct {
	root        string
	keepPartial time.Duration
	log         *slog.Logger
	clog        *log.Entry // where containerd's libraries write

	bolt    *bolt.DB
	db      *metadata.DB
	blobs   content.Store // the files of content, past what metadata knows of them
	content content.Store
	images  images.Store
	leases  leases.Manager
	snaps   snapshots.Snapshotter // through metadata: names are chain IDs

	kept      kept
	collector sync.Mutex
	wasFull   atomic.Bool // something may be left that nobody knows of
}

func (d *disk) open() error {
	if err := probeOverlayfs(); err != nil {
		return err
	}
	// Packed or not, an image's files are for its containers, whatever modes they have: no user of the host reads a private
	// image here, or runs what is setuid in one.
	if err := linux.PrivateDirs(d.root); err != nil {
		return fmt.Errorf("make image store: %w", err)
	}
	if err := errors.Join(os.MkdirAll(d.emptyDir(), 0o755), os.Chmod(d.emptyDir(), 0o755)); err != nil {
		return fmt.Errorf("make image store: %w", err)
	}
	meta := filepath.Join(d.root, "meta.db")
	if _, err := os.Stat(meta); errors.Is(err, os.ErrNotExist) {
		// A new store has nothing left over.
		if err := os.WriteFile(d.closedWell(), nil, 0o600); err != nil {
			return fmt.Errorf("make image store: %w", err)
		}
	}
	if err := boltfile.Make(meta); err != nil {
		return err
	}
	db, err := bolt.Open(meta, 0o600, &bolt.Options{Timeout: lockWait})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return class.Of(fmt.Errorf("image store %s is in use by another process", d.root), errdefs.ErrUnavailable)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", meta, err)
	}
	d.bolt = db
	if d.blobs, err = local.NewStore(filepath.Join(d.root, "content")); err != nil {
		return fmt.Errorf("open image content: %w", err)
	}
	layers, err := overlay.NewSnapshotter(filepath.Join(d.root, "snapshots"), overlay.WithUpperdirLabel)
	if err != nil {
		return fmt.Errorf("open image layers: %w", err)
	}
	// The snapshotter itself would make it with the first layer, which may be what fills the disk.
	if err := boltfile.Make(filepath.Join(d.root, "snapshots", "metadata.db")); err != nil {
		return err
	}
	d.db = metadata.NewDB(db, d.blobs, map[string]snapshots.Snapshotter{snapshotter: layers})
	d.snaps = d.db.Snapshotter(snapshotter)
	d.content = d.db.ContentStore()
	d.images = metadata.NewImageStore(d.db)
	d.leases = metadata.NewLeaseManager(d.db)
	if err := d.db.Init(d.context(context.Background())); err != nil {
		return fmt.Errorf("prepare %s: %w", meta, err)
	}
	return d.inflate()
}

// close waits for what is being collected and closes what is open, which may be nothing.
func (d *disk) close() error {
	d.kept.end()
	d.collector.Lock()
	defer d.collector.Unlock()
	var errs []error
	if d.snaps != nil {
		errs = append(errs, d.snaps.Close())
	}
	if d.bolt != nil {
		errs = append(errs, d.bolt.Close())
	}
	if d.db != nil && errors.Join(errs...) == nil && !d.wasFull.Load() {
		errs = append(errs, os.WriteFile(d.closedWell(), nil, 0o600))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close image store %s: %w", d.root, err)
	}
	return nil
}

// context gives ctx what containerd's libraries look for in it.
func (d *disk) context(ctx context.Context) context.Context {
	return log.WithLogger(namespaces.WithNamespace(ctx, namespace), d.clog)
}

// transact runs fn with every change of the metadata in one transaction.
func (d *disk) transact(ctx context.Context, fn func(context.Context) error) error {
	return d.db.Update(func(tx *bolt.Tx) error { return fn(boltutil.WithTransaction(ctx, tx)) })
}

// emptyDir is the root of an image without layers.
func (d *disk) emptyDir() string { return filepath.Join(d.root, "empty") }

// closedWell is a file that is there when the last process closed the store.
func (d *disk) closedWell() string { return filepath.Join(d.root, "closed") }

// ballastSize is enough for bbolt to write the pages that a removal changes.
const ballastSize = 1 << 20

func (d *disk) ballast() string { return filepath.Join(d.root, "ballast") }

// inflate puts the ballast in place, as bytes that take space. A disk that has no room for it has none for images either,
// but what is there can be used.
func (d *disk) inflate() error {
	if fi, err := os.Stat(d.ballast()); err == nil && fi.Size() == ballastSize {
		return nil
	}
	err := os.WriteFile(d.ballast(), make([]byte, ballastSize), 0o600)
	if err == nil || full(d.classify(err)) {
		return nil
	}
	return fmt.Errorf("write ballast: %w", err)
}
