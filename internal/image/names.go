package image

import (
	"fmt"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/hull-pods/hull/internal/image/class"
)

// Normalize returns a reference in full: "nginx" is "docker.io/library/nginx:latest". Of a reference with a tag and a
// digest the digest counts, as in Kubernetes.
func Normalize(ref string) (string, error) {
	named, err := parse(ref)
	if err != nil {
		return "", err
	}
	return named.String(), nil
}

func parse(ref string) (reference.Named, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return nil, class.Of(fmt.Errorf("failed to parse image name %q: %w", ref, err), errdefs.ErrInvalidArgument)
	}
	return named, nil
}

// byDigest returns the name by which an image of named's repository is known when its digest is d.
func byDigest(named reference.Named, d digest.Digest) (string, error) {
	canonical, err := reference.WithDigest(reference.TrimNamed(named), d)
	if err != nil {
		return "", class.Of(fmt.Errorf("name %s by digest %s: %w", named, d, err), errdefs.ErrInvalidArgument)
	}
	return canonical.String(), nil
}

// repository is a normalised name without its tag or digest.
func repository(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') { // else it is a port's
		return name[:colon]
	}
	return name
}

// isID says whether a record's name is an image's ID, which no reference can be: a reference has a tag or a digest after
// its name.
func isID(name string) bool {
	return strings.HasPrefix(name, "sha256:")
}

// minPrefix is how much of an ID must be given for it to stand for an image.
const minPrefix = 4

// idPrefix says whether ref could be the beginning of an ID, and returns it with its algorithm.
func idPrefix(ref string) (string, bool) {
	hex := strings.TrimPrefix(ref, "sha256:")
	if len(hex) < minPrefix || len(hex) > 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", false
	}
	return "sha256:" + hex, true
}
