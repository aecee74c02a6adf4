package image

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/containerd/platforms"
	"golang.org/x/sync/semaphore"

	"github.com/hull-pods/hull/internal/image/class"
	"github.com/hull-pods/hull/internal/image/keyed"
	"github.com/hull-pods/hull/internal/image/registry"
	"github.com/hull-pods/hull/internal/image/relay"
)

// downloads is how many blobs come at the same time, over all pulls.
const downloads = 6

// Store keeps images. It is made of three parts: the disk, the bringer that fills it, and the catalog of what is present,
// from which everybody reads.
type Store struct {
	bringer
	registries registry.Config
	present    catalog
	changing   sync.Mutex // one changes names, and with them the catalog, at a time
	loading    keyed.Lock // one archive at a time
	flights    flights
}

// Open opens the store at cfg.Root and makes it when it is new. One process has it at a time. What a crash left half done
// is collected behind Open's back: it is never seen as an image.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Stall == 0 {
		cfg.Stall = 30 * time.Second
	}
	if cfg.KeepPartial == 0 {
		cfg.KeepPartial = time.Hour
	}
	spec := platforms.DefaultSpec()
	if cfg.Platform != "" {
		var err error
		if spec, err = platforms.Parse(cfg.Platform); err != nil {
			return nil, class.Of(fmt.Errorf("platform %q: %w", cfg.Platform, err), errdefs.ErrInvalidArgument)
		}
	}
	relay.Adopt(cfg.Log)
	d := &disk{root: cfg.Root, keepPartial: cfg.KeepPartial, log: cfg.Log, clog: relay.To(cfg.Log, nil)}
	s := &Store{
		bringer: bringer{disk: d, platform: platforms.Only(spec), slots: semaphore.NewWeighted(downloads)},
		registries: registry.Config{Dir: cfg.RegistryConfig, Stall: cfg.Stall, Logger: func(onError func(error)) *log.Entry {
			return relay.To(cfg.Log, onError)
		}},
	}
	if err := d.open(); err != nil {
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

// Close ends running pulls, waits for them, and lets go of the store. Layers stay usable by those who mounted them.
func (s *Store) Close() error {
	s.flights.end()
	return s.disk.close()
}
