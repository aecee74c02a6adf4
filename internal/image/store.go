package image

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/containerd/v2/core/metadata"
	"github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/platforms"
	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sync/semaphore"
)

const (
	// namespace is the one in containerd's metadata that everything of Hull is in.
	namespace = "hull"
	// snapshotter is the name under which metadata knows the snapshots; labels carry it.
	snapshotter = "overlayfs"
	// downloads is how many blobs come at the same time, over all pulls.
	downloads = 6
	// lockWait is how long another process may hold the store before Open gives up.
	lockWait = 2 * time.Second
)

// Store keeps images. Its parts on disk, below its root:
//
//	content/    packed blobs by digest, and those that are still coming
//	snapshots/  unpacked layers, one directory each
//	meta.db     names, labels, leases (containerd's metadata); its lock is the store's
//	ballast     a little space that is given up when the disk is full, so that cleaning can write
//	empty/      the root of an image without layers
//	closed      says that the last process ended well, and left nothing half done
//
// What must not be collected is named, leased by a running pull or kept for a pull that failed and may go on.
type Store struct {
	root     string
	config   Config
	log      *slog.Logger
	clog     *log.Entry // where containerd's libraries write
	platform platforms.MatchComparer

	bolt    *bolt.DB
	db      *metadata.DB
	content content.Store
	images  images.Store
	leases  leases.Manager
	snaps   snapshots.Snapshotter // through metadata: names are chain IDs

	present   catalog    // the images that are here, in memory
	changing  sync.Mutex // one changes names, and with them the catalog, at a time
	loading   sync.Mutex // one archive at a time
	slots     *semaphore.Weighted
	blobs     keyed // one writer a blob
	chains    keyed // one unpacking a chain
	flights   flights
	kept      kept
	collector sync.Mutex
}

// Open opens the store at cfg.Root and makes it when it is new. One process has it at a time. What a crash left half done
// is collected behind Open's back: it is never seen as an image.
func Open(ctx context.Context, cfg Config) (_ *Store, err error) {
	if cfg.Stall == 0 {
		cfg.Stall = 30 * time.Second
	}
	if cfg.KeepPartial == 0 {
		cfg.KeepPartial = time.Hour
	}
	spec := platforms.DefaultSpec()
	if cfg.Platform != "" {
		if spec, err = platforms.Parse(cfg.Platform); err != nil {
			return nil, classed{fmt.Errorf("platform %q: %w", cfg.Platform, err), errdefs.ErrInvalidArgument}
		}
	}
	adoptStray(cfg.Log)
	s := &Store{
		root: cfg.Root, config: cfg, log: cfg.Log, clog: containerdLog(cfg.Log, nil),
		platform: platforms.Only(spec), slots: semaphore.NewWeighted(downloads),
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	ctx = s.context(ctx)
	if err := s.clean(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("clean image store %s: %w", s.root, err), s.Close())
	}
	if err := s.reload(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("read image store %s: %w", s.root, err), s.Close())
	}
	return s, nil
}

func (s *Store) open() error {
	for _, dir := range []string{s.root, filepath.Join(s.root, "empty")} {
		// The layers below are world readable, as images want it: the top is what keeps others out.
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return fmt.Errorf("make image store: %w", err)
		}
	}
	if err := os.Chmod(filepath.Join(s.root, "empty"), 0o755); err != nil {
		return fmt.Errorf("make image store: %w", err)
	}
	meta := filepath.Join(s.root, "meta.db")
	if _, err := os.Stat(meta); errors.Is(err, os.ErrNotExist) {
		// A new store has nothing left over.
		if err := os.WriteFile(s.closedWell(), nil, 0o600); err != nil {
			return fmt.Errorf("make image store: %w", err)
		}
	}
	db, err := bolt.Open(meta, 0o600, &bolt.Options{Timeout: lockWait})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return classed{fmt.Errorf("image store %s is in use by another process", s.root), errdefs.ErrUnavailable}
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", meta, err)
	}
	s.bolt = db
	blobs, err := local.NewStore(filepath.Join(s.root, "content"))
	if err != nil {
		return fmt.Errorf("open image content: %w", err)
	}
	layers, err := overlay.NewSnapshotter(filepath.Join(s.root, "snapshots"), overlay.WithUpperdirLabel)
	if err != nil {
		return fmt.Errorf("open image layers: %w", err)
	}
	s.db = metadata.NewDB(db, blobs, map[string]snapshots.Snapshotter{snapshotter: layers})
	s.snaps = s.db.Snapshotter(snapshotter)
	s.content = s.db.ContentStore()
	s.images = metadata.NewImageStore(s.db)
	s.leases = metadata.NewLeaseManager(s.db)
	if err := s.db.Init(s.context(context.Background())); err != nil {
		return fmt.Errorf("prepare %s: %w", meta, err)
	}
	return s.inflate()
}

// Close ends running pulls, waits for them, and lets go of the store. Layers stay usable by those who mounted them.
func (s *Store) Close() error {
	s.flights.end()
	s.kept.end()
	s.collector.Lock()
	defer s.collector.Unlock()
	var errs []error
	if s.snaps != nil {
		errs = append(errs, s.snaps.Close())
	}
	if s.bolt != nil {
		errs = append(errs, s.bolt.Close())
	}
	if s.db != nil && errors.Join(errs...) == nil {
		errs = append(errs, os.WriteFile(s.closedWell(), nil, 0o600))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close image store %s: %w", s.root, err)
	}
	return nil
}

// context gives ctx what containerd's libraries look for in it.
func (s *Store) context(ctx context.Context) context.Context {
	return log.WithLogger(namespaces.WithNamespace(ctx, namespace), s.clog)
}
