package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/hull-pods/hull/internal/image/class"
	"github.com/hull-pods/hull/internal/image/registry"
)

const (
	// maxDocument bounds manifests, indexes and configs, which are read into memory.
	maxDocument = registry.DocumentLimit
	// maxLayers is what overlayfs can stack.
	maxLayers = 500
	// maxDepth is how deep an index may lie in indexes.
	maxDepth = 3
)

// tree is an image's documents: the way from the target of a name down to one platform's manifest.
type tree struct {
	target   ocispec.Descriptor
	indexes  []ocispec.Descriptor // from the target down; empty when the target is the manifest
	manifest ocispec.Descriptor
	config   ocispec.Descriptor
	layers   []ocispec.Descriptor // the lowest first
}

// getter brings a blob into the store, or says that it is there already.
type getter func(context.Context, ocispec.Descriptor) error

// walk reads the documents below target; get is asked for each of them first, nil when they must be here.
func (b *bringer) walk(ctx context.Context, target ocispec.Descriptor, get getter) (tree, error) {
	t := tree{target: target}
	desc := target
	for images.IsIndexType(desc.MediaType) {
		if len(t.indexes) == maxDepth {
			return t, class.Of(fmt.Errorf("index %s: more than %d indexes inside each other", target.Digest, maxDepth), errdefs.ErrInvalidArgument)
		}
		var index ocispec.Index
		if err := b.document(ctx, desc, get, &index); err != nil {
			return t, err
		}
		t.indexes = append(t.indexes, desc)
		next, err := b.choose(index.Manifests)
		if err != nil {
			return t, fmt.Errorf("index %s: %w", desc.Digest, err)
		}
		desc = next
	}
	if !images.IsManifestType(desc.MediaType) {
		return t, class.Of(fmt.Errorf("%s is no image: its media type is %q", desc.Digest, desc.MediaType), errdefs.ErrInvalidArgument)
	}
	var m ocispec.Manifest
	if err := b.document(ctx, desc, get, &m); err != nil {
		return t, err
	}
	t.manifest, t.config, t.layers = plain(desc), plain(m.Config), make([]ocispec.Descriptor, len(m.Layers))
	for i, l := range m.Layers {
		t.layers[i] = plain(l)
	}
	return t, t.check()
}

// plain keeps of a descriptor what a registry may decide: not addresses to fetch from, and no labels for the store.
func plain(d ocispec.Descriptor) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

func (t tree) check() error {
	if !images.IsConfigType(t.config.MediaType) {
		return class.Of(fmt.Errorf("manifest %s is no container image: its config is %q", t.manifest.Digest, t.config.MediaType), errdefs.ErrInvalidArgument)
	}
	if len(t.layers) > maxLayers {
		return class.Of(fmt.Errorf("manifest %s: %d layers, and overlayfs takes %d", t.manifest.Digest, len(t.layers), maxLayers), errdefs.ErrInvalidArgument)
	}
	for _, d := range append([]ocispec.Descriptor{t.config}, t.layers...) {
		if err := d.Digest.Validate(); err != nil {
			return class.Of(fmt.Errorf("manifest %s: digest %q: %w", t.manifest.Digest, d.Digest, err), errdefs.ErrInvalidArgument)
		}
		if d.Size < 0 {
			return class.Of(fmt.Errorf("manifest %s: blob %s has size %d", t.manifest.Digest, d.Digest, d.Size), errdefs.ErrInvalidArgument)
		}
	}
	for _, l := range t.layers {
		if !knownLayer(l.MediaType) {
			return class.Of(fmt.Errorf("layer %s: media type %q is not supported", l.Digest, l.MediaType), errdefs.ErrNotImplemented)
		}
	}
	return nil
}

func knownLayer(mediaType string) bool {
	return slices.Contains([]string{
		ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd,
		"application/vnd.oci.image.layer.nondistributable.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
		images.MediaTypeDockerSchema2Layer, images.MediaTypeDockerSchema2LayerGzip, images.MediaTypeDockerSchema2LayerZstd,
		images.MediaTypeDockerSchema2LayerForeign, images.MediaTypeDockerSchema2LayerForeignGzip,
	}, mediaType)
}

// choose takes the manifest that fits the platform best. Entries that name no platform come last; attestations, whose
// platform is "unknown", fit nothing.
func (b *bringer) choose(manifests []ocispec.Descriptor) (ocispec.Descriptor, error) {
	var fit []ocispec.Descriptor
	var have []string
	for _, m := range manifests {
		if !images.IsManifestType(m.MediaType) && !images.IsIndexType(m.MediaType) || images.IsAttestationType(m.MediaType) {
			continue
		}
		if m.Annotations["vnd.docker.reference.type"] != "" {
			continue
		}
		if m.Platform == nil || b.platform.Match(platforms.Normalize(*m.Platform)) {
			fit = append(fit, m)
			continue
		}
		have = append(have, platformName(*m.Platform))
	}
	if len(fit) == 0 {
		slices.Sort(have)
		return ocispec.Descriptor{}, class.Of(fmt.Errorf("no match for platform in manifest: it has %v: not found", some(slices.Compact(have))), errdefs.ErrNotFound)
	}
	slices.SortStableFunc(fit, func(x, y ocispec.Descriptor) int {
		switch {
		case x.Platform == nil && y.Platform == nil:
			return 0
		case x.Platform == nil:
			return 1
		case y.Platform == nil:
			return -1
		case b.platform.Less(*x.Platform, *y.Platform):
			return -1
		case b.platform.Less(*y.Platform, *x.Platform):
			return 1
		}
		return 0
	})
	return fit[0], nil
}

// platformName is a platform as an error names it, and some are as many names as one has room for: an image may say of itself
// what it likes, at any length.
func platformName(p ocispec.Platform) string {
	name := platforms.Format(p)
	if len(name) > 64 || strings.ContainsFunc(name, unicode.IsControl) {
		name = fmt.Sprintf("%.64q", name)
	}
	return name
}

func some(names []string) []string {
	const most = 16
	if len(names) <= most {
		return names
	}
	return append(names[:most:most], fmt.Sprintf("and %d more", len(names)-most))
}

// document brings one JSON blob, reads it whole and decodes it. Its digest was verified when it came into the store, and is again:
// one that the disk has damaged since is removed, so that the next pull or load brings it anew.
func (d *disk) document(ctx context.Context, desc ocispec.Descriptor, get getter, into any) error {
	if err := desc.Digest.Validate(); err != nil {
		return class.Of(fmt.Errorf("digest %q: %w", desc.Digest, err), errdefs.ErrInvalidArgument)
	}
	if desc.Size < 0 || desc.Size > maxDocument {
		return class.Of(fmt.Errorf("%s %s: %d bytes are more than the %d that are read", desc.MediaType, desc.Digest, desc.Size, maxDocument), errdefs.ErrInvalidArgument)
	}
	if get != nil {
		if err := get(ctx, plain(desc)); err != nil {
			return err
		}
	}
	ra, err := d.content.ReaderAt(ctx, plain(desc))
	if errdefs.IsNotFound(err) {
		err = errors.Join(err, d.drop(ctx, desc.Digest))
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", desc.Digest, err)
	}
	defer ra.Close() //nolint:errcheck // opened for reading
	body, err := io.ReadAll(io.LimitReader(content.NewReader(ra), maxDocument+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", desc.Digest, err)
	}
	if len(body) > maxDocument {
		return class.Of(fmt.Errorf("%s: more than %d bytes", desc.Digest, maxDocument), errdefs.ErrInvalidArgument)
	}
	if desc.Digest.Algorithm().FromBytes(body) != desc.Digest {
		err := class.Of(fmt.Errorf("%s %s is damaged on the disk", desc.MediaType, desc.Digest), errdefs.ErrDataLoss)
		return errors.Join(err, d.drop(ctx, desc.Digest))
	}
	if err := unambiguous(desc.MediaType, body); err != nil {
		return fmt.Errorf("%s: %w", desc.Digest, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return class.Of(fmt.Errorf("decode %s %s: %w", desc.MediaType, desc.Digest, err), errdefs.ErrInvalidArgument)
	}
	return nil
}

// drop forgets a blob that the disk has lost or damaged, and what is left of it: as long as the metadata or a file says that it is
// there, nobody brings it.
func (d *disk) drop(ctx context.Context, blob digest.Digest) error {
	err := d.content.Delete(ctx, blob)
	if errdefs.IsNotFound(err) {
		err = nil
	}
	if ferr := d.blobs.Delete(ctx, blob); !errdefs.IsNotFound(ferr) {
		err = errors.Join(err, ferr)
	}
	return err
}

// unambiguous refuses a document that two readers could take for two different things: a manifest that is an index too, or
// one whose own media type is another than it was announced with.
func unambiguous(mediaType string, b []byte) error {
	var doc struct {
		MediaType string          `json:"mediaType"`
		Config    json.RawMessage `json:"config"`
		Layers    json.RawMessage `json:"layers"`
		Manifests json.RawMessage `json:"manifests"`
	}
	isManifest, isIndex := images.IsManifestType(mediaType), images.IsIndexType(mediaType)
	if !isManifest && !isIndex {
		return nil
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return class.Of(fmt.Errorf("decode %s: %w", mediaType, err), errdefs.ErrInvalidArgument)
	}
	if isManifest && len(doc.Manifests) > 0 || isIndex && (len(doc.Config) > 0 || len(doc.Layers) > 0) {
		return class.Of(errors.New("manifest and index at the same time"), errdefs.ErrInvalidArgument)
	}
	if doc.MediaType != "" && doc.MediaType != mediaType {
		return class.Of(fmt.Errorf("media type %q inside, announced as %q", doc.MediaType, mediaType), errdefs.ErrInvalidArgument)
	}
	return nil
}

// resolved is what the catalog needs of one target.
type resolved struct {
	id       string
	size     int64
	platform string
	config   ocispec.Image
	dirs     []string // top first
}

// resolve reads a target of which everything is here: the documents, and the directories of its chain.
func (b *bringer) resolve(ctx context.Context, target ocispec.Descriptor) (resolved, error) {
	t, err := b.walk(ctx, target, nil)
	if err != nil {
		return resolved{}, err
	}
	r := resolved{id: t.config.Digest.String(), size: t.manifest.Size + t.config.Size}
	for _, l := range t.layers {
		r.size += l.Size
	}
	if err := b.readConfig(ctx, t, nil, &r.config); err != nil {
		return resolved{}, err
	}
	if r.config.OS != "" {
		r.platform = platforms.Format(r.config.Platform)
	}
	chain := chainIDs(r.config)
	if len(chain) == 0 {
		r.dirs = []string{b.emptyDir()}
	}
	for _, id := range slices.Backward(chain) {
		info, err := b.snaps.Stat(ctx, id)
		if err != nil {
			return resolved{}, fmt.Errorf("layer %s: %w", id, err)
		}
		r.dirs = append(r.dirs, info.Labels[upperdirLabel])
	}
	return r, nil
}

// readConfig reads the image's config and checks that it belongs to the manifest and to this machine.
func (b *bringer) readConfig(ctx context.Context, t tree, get getter, config *ocispec.Image) error {
	if err := b.document(ctx, t.config, get, config); err != nil {
		return err
	}
	if n := len(config.RootFS.DiffIDs); n != len(t.layers) {
		return class.Of(fmt.Errorf("config %s names %d layers, manifest %s %d", t.config.Digest, n, t.manifest.Digest, len(t.layers)), errdefs.ErrInvalidArgument)
	}
	for _, d := range config.RootFS.DiffIDs {
		if err := d.Validate(); err != nil {
			return class.Of(fmt.Errorf("config %s: diff ID %q: %w", t.config.Digest, d, err), errdefs.ErrInvalidArgument)
		}
	}
	p := config.Platform
	if p.OS == "" && p.Architecture == "" {
		return nil // says nothing, like many an image that was put together by hand
	}
	if !b.platform.Match(platforms.Normalize(p)) {
		return class.Of(fmt.Errorf("no match for platform in manifest: %s is for %s: not found", t.manifest.Digest, platformName(p)), errdefs.ErrNotFound)
	}
	return nil
}

// chainIDs are the names of the snapshots of each layer upon those below it, the lowest first.
func chainIDs(config ocispec.Image) []string {
	ids := identity.ChainIDs(slices.Clone(config.RootFS.DiffIDs))
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = digest.Digest(id).String()
	}
	return out
}
