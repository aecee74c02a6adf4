package image

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/hull-pods/hull/internal/failpoint"
	"github.com/hull-pods/hull/internal/image/registry"
)

var (
	fpLease  = failpoint.New("image.lease")
	fpBlob   = failpoint.New("image.blob")
	fpUnpack = failpoint.New("image.unpack")
	fpCommit = failpoint.New("image.commit")
	fpRecord = failpoint.New("image.record")
)

// Pull asks the registry what ref is now, brings what is missing, and returns when the image is unpacked. Pulls of the same
// reference with the same credentials at the same time are one, which goes on as long as anyone waits for it. What a pull
// that failed has brought is kept for a while, so that the next one goes on from there.
func (s *Store) Pull(ctx context.Context, ref string, o PullOptions) (Image, error) {
	named, err := parse(ref)
	if err != nil {
		return Image{}, err
	}
	if img, ok := s.builtinImage(named.String()); ok {
		return img, nil
	}
	key := strings.TrimSpace("pull " + named.String() + " " + o.Credentials.Key())
	id, err := s.flights.join(ctx, key, o.Progress, func(ctx context.Context, p *progress) (string, error) {
		p.ref(named.String())
		id, err := s.pull(s.context(ctx), key, named, o.Credentials, p)
		if err != nil {
			return "", s.classify(fmt.Errorf("failed to pull and unpack image %q: %w", named, err))
		}
		return id, nil
	})
	if err != nil {
		return Image{}, err
	}
	return s.Get(ctx, id)
}

func (s *Store) pull(ctx context.Context, key string, named reference.Named, creds *Credentials, p *progress) (id string, err error) {
	reg := registry.Open(ctx, s.registries, creds)
	defer reg.Close()
	_, target, err := reg.Resolve(ctx, named.String())
	if err != nil {
		return "", fmt.Errorf("failed to resolve reference %q: %w", named, err)
	}
	target = plain(target)
	p.digest(target.Digest.String())
	fetcher, err := reg.Fetcher(ctx, named.String())
	if err != nil {
		return "", fmt.Errorf("ask for %s: %w", named, err)
	}
	names, err := recordNames(named, target)
	if err != nil {
		return "", err
	}
	return s.admit(ctx, key, func(ctx context.Context) ([]admission, error) {
		t, config, err := s.bring(ctx, target, fetcher, p)
		return []admission{{tree: t, config: config, names: names}}, err
	})
}

// recordNames are the names that an image gets when named stood for target: the tag if there is one, and the digest.
func recordNames(named reference.Named, target ocispec.Descriptor) ([]string, error) {
	canonical, err := byDigest(named, target.Digest)
	if err != nil {
		return nil, err
	}
	if _, tagged := named.(reference.Tagged); tagged {
		return []string{named.String(), canonical}, nil
	}
	return []string{canonical}, nil
}

// admission is an image that is here whole and waits for its names.
type admission struct {
	tree   tree
	config ocispec.Image
	names  []string
	labels map[string]string
}

// admit runs bring under a lease, which keeps what it brings from being collected, and then, in one transaction, names what
// was brought and ends the lease. It returns the ID of the last image. When bring fails the lease is kept for a while; when
// the disk is full it ends at once.
func (s *Store) admit(ctx context.Context, key string, bring func(context.Context) ([]admission, error)) (_ string, err error) {
	if err := fpLease.Hit(); err != nil {
		return "", err
	}
	s.kept.take(key)
	lease, err := s.leases.Create(ctx, leases.WithID(key))
	if errdefs.IsAlreadyExists(err) { // of a pull that failed: this one goes on with what it brought
		lease, err = leases.Lease{ID: key}, nil
	}
	if err != nil {
		return "", fmt.Errorf("lease: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.keep(ctx, key, err))
		}
	}()
	got, err := bring(leases.WithLease(ctx, lease.ID))
	if err != nil {
		return "", err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.record(ctx, lease, got); err != nil {
		return "", fmt.Errorf("record image: %w", err)
	}
	if err := s.reload(ctx); err != nil {
		return "", err
	}
	return got[len(got)-1].tree.config.Digest.String(), nil
}

// record names the images, points from each document to what it needs, and ends the lease, all in one transaction: after
// a crash an image is here whole or not at all.
func (s *Store) record(ctx context.Context, lease leases.Lease, got []admission) error {
	if err := fpRecord.Hit(); err != nil {
		return err
	}
	return s.transact(ctx, func(ctx context.Context) error {
		for _, a := range got {
			if err := s.point(ctx, a); err != nil {
				return err
			}
			for _, name := range append(a.names, a.tree.config.Digest.String()) {
				img := images.Image{Name: name, Target: a.tree.target, Labels: a.labels}
				if isID(name) {
					img.Labels = nil
				}
				if err := s.name(ctx, img); err != nil {
					return fmt.Errorf("name %s: %w", name, err)
				}
			}
		}
		return s.leases.Delete(ctx, lease)
	})
}

// name makes a record, or moves the one of that name. One that came with Hull, and is given the same image once more, stays
// what it is.
func (s *Store) name(ctx context.Context, img images.Image) error {
	_, err := s.images.Create(ctx, img)
	if !errdefs.IsAlreadyExists(err) {
		return err
	}
	old, err := s.images.Get(ctx, img.Name)
	if err != nil {
		return err
	}
	if img.Labels == nil && old.Target.Digest == img.Target.Digest {
		img.Labels = old.Labels
	}
	_, err = s.images.Update(ctx, img, "target", "labels")
	return err
}
