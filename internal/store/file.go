package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/hull-pods/hull/internal/boltfile"
)

// fileFormat is what meta/format says.
const fileFormat = "1"

// The names of the file's tree, drawn in the package comment.
const (
	bucketHull    = "hull"
	bucketMeta    = "meta"
	bucketObjects = "objects"
	keyFormat     = "format"
	keyCeiling    = "ceiling"
)

func openFile(path string) (*bolt.DB, error) {
	if err := boltfile.Make(path); err != nil {
		return nil, err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout:        time.Second,
		NoFreelistSync: true, // smaller writes; the list is rebuilt when the file is opened
		FreelistType:   bolt.FreelistMapType,
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("open %s: another hulld has it open", path)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

// load reads everything into memory and reserves the next versions, in one transaction.
func (s *Store) load() error {
	return s.db.Update(func(tx *bolt.Tx) error {
		root, err := tx.CreateBucketIfNotExists([]byte(bucketHull))
		if err != nil {
			return err
		}
		if err := s.loadMeta(root); err != nil {
			return err
		}
		objects, err := root.CreateBucketIfNotExists([]byte(bucketObjects))
		if err != nil {
			return err
		}
		for _, t := range s.tables {
			b, err := objects.CreateBucketIfNotExists([]byte(t.resource))
			if err != nil {
				return err
			}
			if err := t.load(b); err != nil {
				return err
			}
			t.history.begin = s.version
		}
		return nil
	})
}

func (s *Store) loadMeta(root *bolt.Bucket) error {
	meta, err := root.CreateBucketIfNotExists([]byte(bucketMeta))
	if err != nil {
		return err
	}
	switch format := meta.Get([]byte(keyFormat)); {
	case format == nil:
		if err := meta.Put([]byte(keyFormat), []byte(fileFormat)); err != nil {
			return err
		}
	case string(format) != fileFormat:
		return fmt.Errorf("its format is %q and this version of Hull knows %q: it was written by a newer Hull", format, fileFormat)
	}
	switch ceiling := meta.Get([]byte(keyCeiling)); len(ceiling) {
	case 0:
	case 8:
		s.version = binary.BigEndian.Uint64(ceiling)
	default:
		return fmt.Errorf("its version counter is %d bytes long, not 8", len(ceiling))
	}
	s.ceiling = s.version + headroom
	return putCeiling(meta, s.ceiling)
}

func putCeiling(meta *bolt.Bucket, v uint64) error {
	return meta.Put([]byte(keyCeiling), binary.BigEndian.AppendUint64(nil, v))
}

func (t *table) load(b *bolt.Bucket) error {
	return b.ForEach(func(k, record []byte) error {
		namespace, name, ok := strings.Cut(string(k), "/")
		obj, err := t.decode(record)
		if err == nil && (!ok || obj.GetNamespace() != namespace || obj.GetName() != name) {
			err = fmt.Errorf("the record is that of %s/%s", obj.GetNamespace(), obj.GetName())
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", t.resource, k, err)
		}
		t.put(obj)
		return nil
	})
}

// save writes one batch, and reserves more versions when they run low.
func (s *Store) save(b *batch, ceiling uint64) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		root := tx.Bucket([]byte(bucketHull))
		if err := putCeiling(root.Bucket([]byte(bucketMeta)), ceiling); err != nil {
			return err
		}
		objects := root.Bucket([]byte(bucketObjects))
		for key, obj := range b.dirty {
			bucket, name := objects.Bucket([]byte(key.Resource)), []byte(key.Namespace+"/"+key.Name)
			if obj == nil {
				if err := bucket.Delete(name); err != nil {
					return err
				}
				continue
			}
			record, err := encode(obj)
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			if err := bucket.Put(name, record); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		return fpCommit.Hit()
	})
}

// seal lowers the ceiling to the version that was reached: after a clean end no version is skipped.
func (s *Store) seal() error {
	s.mu.RLock()
	version, dirty := s.version, len(s.open.dirty)
	s.mu.RUnlock()
	if dirty != 0 {
		return fmt.Errorf("write %s: %d changes are not on disk", s.db.Path(), dirty)
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		return putCeiling(tx.Bucket([]byte(bucketHull)).Bucket([]byte(bucketMeta)), version)
	})
}
