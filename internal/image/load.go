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
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/hull-pods/hull/internal/image/class"
	"github.com/hull-pods/hull/internal/image/layer"
)

// loadKey begins the lease of every load.
const loadKey = "load "

// Load reads images from an OCI or docker archive, which may be packed with gzip or zstd. An OCI layout directory is an archive
// when it is packed. An image without a name in the archive is known by its ID alone. All of the archive's images are there in the
// end, or none. They are returned with the names that the archive has for them.
func (s *Store) Load(ctx context.Context, r io.Reader) ([]Image, error) { return s.load(ctx, nil, r) }

// load admits the images of an archive, with these labels on their names.
func (s *Store) load(ctx context.Context, labels map[string]string, r io.Reader) ([]Image, error) {
	// Two archives may have files of the same name, which the importer would mix up.
	unlock, err := s.loading.Lock(ctx, loadKey)
	if err != nil {
		return nil, fmt.Errorf("load image: wait for another load: %w", err)
	}
	defer unlock()
	var ids []string
	names := map[string][]string{} // by ID
	_, err = s.admit(s.context(ctx), loadKey+rand.Text(), func(ctx context.Context) ([]admission, error) {
		index, err := s.importArchive(ctx, r)
		if err != nil {
			return nil, err
		}
		found, err := s.entries(index)
		if err != nil {
			return nil, err
		}
		for i, a := range found {
			p := newProgress()
			if found[i].tree, found[i].config, err = s.bring(ctx, a.tree.target, here{}, p); err != nil {
				return nil, err
			}
			found[i].labels = labels
			id := found[i].tree.config.Digest.String()
			if _, again := names[id]; !again {
				ids = append(ids, id)
			}
			names[id] = append(names[id], a.names...)
		}
		return found, nil
	})
	if err != nil {
		return nil, refusedArchive(s.classify(fmt.Errorf("load image: %w", err)))
	}
	var loaded []Image
	for _, id := range ids {
		img, err := s.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		img.Names = slices.DeleteFunc(img.Names, func(n string) bool { return !slices.Contains(names[id], n) })
		loaded = append(loaded, img)
	}
	return loaded, nil
}

// entries groups an index's entries by name and chooses one for this platform from each group. Entries without a name are
// one image for several platforms if they say their platforms, else an image each.
func (b *bringer) entries(index ocispec.Index) ([]admission, error) {
	var order []string
	groups := map[string][]ocispec.Descriptor{}
	for _, d := range index.Manifests {
		name, err := entryName(d)
		if err != nil {
			return nil, err
		}
		key := name
		if name == "" && d.Platform == nil {
			key = " " + d.Digest.String()
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], d)
	}
	if len(order) == 0 {
		return nil, class.Of(errors.New("no image in it"), errdefs.ErrInvalidArgument)
	}
	var found []admission
	for _, key := range order {
		d, err := b.choose(groups[key])
		if err != nil {
			return nil, fmt.Errorf("image %q: %w", key, err)
		}
		a := admission{tree: tree{target: plain(d)}}
		if key != "" && key[0] != ' ' {
			named, err := parse(key)
			if err != nil {
				return nil, err
			}
			if a.names, err = recordNames(named, d); err != nil {
				return nil, err
			}
		}
		found = append(found, a)
	}
	return found, nil
}

// entryName is the name of an entry of an index: containerd's and docker's full name, or OCI's, which may be a full name, or
// a tag with no name to belong to, which names nothing here.
func entryName(d ocispec.Descriptor) (string, error) {
	if name := d.Annotations[images.AnnotationImageName]; name != "" {
		return Normalize(name)
	}
	name := d.Annotations[ocispec.AnnotationRefName]
	if !strings.ContainsAny(name, "/:@") {
		return "", nil
	}
	if _, err := reference.ParseDockerRef(name); err != nil {
		return "", nil //nolint:nilerr // OCI lets this annotation be any word
	}
	return Normalize(name)
}

// importArchive writes an archive's blobs into the store and returns its index.
func (b *bringer) importArchive(ctx context.Context, r io.Reader) (ocispec.Index, error) {
	packed := &counter{Reader: r}
	plainReader, err := layer.Decompress(packed)
	if err != nil {
		return ocispec.Index{}, class.Of(fmt.Errorf("read archive: %w", err), errdefs.ErrInvalidArgument)
	}
	defer plainReader.Close() //nolint:errcheck // a reader in memory
	unpacked := &counter{Reader: plainReader, check: func(n int64) error {
		if n > layer.Limit(packed.n) {
			return layer.Bomb()
		}
		return nil
	}}
	desc, err := archive.ImportIndex(ctx, boundedStore{b.content, unpacked}, unpacked)
	if err != nil {
		if !hasClass(err) && !full(b.classify(err)) && ctx.Err() == nil {
			err = class.Of(err, errdefs.ErrInvalidArgument)
		}
		return ocispec.Index{}, fmt.Errorf("read archive: %w", err)
	}
	var index ocispec.Index
	return index, b.document(ctx, desc, nil, &index)
}

// counter counts what is read, and may refuse to go on.
type counter struct {
	io.Reader
	n     int64
	check func(int64) error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	if c.check != nil {
		if cerr := c.check(c.n); cerr != nil {
			return 0, cerr
		}
	}
	return n, err
}

// boundedStore lets no more be written than was read from the archive: a sparse file in it would be endless zeros.
type boundedStore struct {
	content.Store
	read *counter
}

func (b boundedStore) Writer(ctx context.Context, opts ...content.WriterOpt) (content.Writer, error) {
	w, err := b.Store.Writer(ctx, opts...)
	if err != nil {
		return nil, err
	}
	return &boundedWriter{Writer: w, read: b.read}, nil
}

type boundedWriter struct {
	content.Writer
	read    *counter
	written int64
}

// slack is for what is written but is not a file of the archive: the manifest and index made for docker's format.
const slack = maxDocument

func (b *boundedWriter) Write(p []byte) (int, error) {
	if b.written += int64(len(p)); b.written > b.read.n+slack {
		return 0, layer.Bomb()
	}
	return b.Writer.Write(p)
}
