package image

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/hull-pods/hull/internal/image/class"
	"github.com/hull-pods/hull/internal/image/layer"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// loadKey begins the lease of every load.
const loadKey = "load "

// Load reads images from an OCI or docker archive, which may be packed with gzip or zstd. An image without a name in the
// archive is known by its ID alone. All of the archive's images are there in the end, or none.
func (s *Store) Load(ctx context.Context, r io.Reader) ([]Image, error) {
	return s.load(ctx, nil, func(ctx context.Context) (ocispec.Index, remotes.Fetcher, error) {
		index, err := s.importArchive(ctx, r)
		return index, here{}, err
	})
}

// LoadLayout reads images from an OCI layout directory.
func (s *Store) LoadLayout(ctx context.Context, dir string) ([]Image, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open image layout: %w", err)
	}
	defer root.Close() //nolint:errcheck // opened for reading
	return s.load(ctx, nil, func(context.Context) (ocispec.Index, remotes.Fetcher, error) {
		index, err := readLayout(root)
		return index, layoutDir{root}, err
	})
}

// load admits the images of an index, with these labels on their names.
func (s *Store) load(ctx context.Context, labels map[string]string, open func(context.Context) (ocispec.Index, remotes.Fetcher, error)) ([]Image, error) {
	// Two archives may have files of the same name, which the importer would mix up.
	s.loading.Lock()
	defer s.loading.Unlock()
	var ids []string
	_, err := s.admit(s.context(ctx), loadKey+rand.Text(), func(ctx context.Context) ([]admission, error) {
		index, from, err := open(ctx)
		if err != nil {
			return nil, err
		}
		found, err := s.entries(index)
		if err != nil {
			return nil, err
		}
		for i, a := range found {
			p := newProgress()
			if found[i].tree, found[i].config, err = s.bring(ctx, a.tree.target, from, p); err != nil {
				return nil, err
			}
			found[i].labels = labels
			ids = append(ids, found[i].tree.config.Digest.String())
		}
		return found, nil
	})
	if err != nil {
		return nil, s.classify(fmt.Errorf("load image: %w", err))
	}
	var loaded []Image
	for _, id := range ids {
		img, err := s.Get(ctx, id)
		if err != nil {
			return nil, err
		}
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

// readLayout reads the two files that make a directory an OCI layout.
func readLayout(root *os.Root) (ocispec.Index, error) {
	var version ocispec.ImageLayout
	var index ocispec.Index
	if err := readJSON(root, ocispec.ImageLayoutFile, &version); err != nil {
		return index, err
	}
	if version.Version != ocispec.ImageLayoutVersion {
		return index, class.Of(fmt.Errorf("OCI layout of version %q, want %q", version.Version, ocispec.ImageLayoutVersion), errdefs.ErrInvalidArgument)
	}
	return index, readJSON(root, ocispec.ImageIndexFile, &index)
}

func readJSON(root *os.Root, name string, into any) error {
	f, err := openRegular(root, name)
	if errors.Is(err, os.ErrNotExist) {
		return class.Of(fmt.Errorf("%s is no OCI layout: %w", root.Name(), err), errdefs.ErrInvalidArgument)
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	if err := json.NewDecoder(io.LimitReader(f, maxDocument)).Decode(into); err != nil {
		return class.Of(fmt.Errorf("decode %s: %w", path.Join(root.Name(), name), err), errdefs.ErrInvalidArgument)
	}
	return nil
}

// openRegular opens a file inside root; a pipe would make the reader wait for ever.
func openRegular(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, errors.Join(err, class.Of(fmt.Errorf("%s is no regular file", path.Join(root.Name(), name)), errdefs.ErrInvalidArgument), f.Close())
	}
	return f, nil
}

// layoutDir fetches blobs from an OCI layout directory.
type layoutDir struct{ root *os.Root }

func (l layoutDir) Fetch(_ context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	if err := desc.Digest.Validate(); err != nil {
		return nil, class.Of(fmt.Errorf("digest %q: %w", desc.Digest, err), errdefs.ErrInvalidArgument)
	}
	f, err := openRegular(l.root, path.Join("blobs", desc.Digest.Algorithm().String(), desc.Digest.Encoded()))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s %s is not in the layout: %w", desc.MediaType, desc.Digest, errdefs.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}
