// Package layer unpacks a layer's archive into a directory, as overlayfs keeps a layer. Archives come from anywhere: nothing is
// written outside the directory, and what one unpacks to is bounded.
package layer

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
	"github.com/containerd/errdefs"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/image/class"
	"github.com/hull-pods/hull/internal/linux"
)

const (
	// FreeSize and maxRatio bound what the layers of an image may unpack to: FreeSize and, beyond that, maxRatio times their
	// packed size. Real layers are packed to a third or a tenth.
	FreeSize = 1 << 30
	maxRatio = 200
	// maxWindow is how much memory a zstd stream may ask for.
	maxWindow = 128 << 20
	// maxNames is how much memory the entries of one layer may take: their names and attributes are held until the last of
	// them is written. It is enough for a million files.
	maxNames = 256 << 20
)

// Limit is how much layers of this packed size may unpack to, all together.
func Limit(packed int64) int64 {
	if packed > (1<<62)/maxRatio {
		return 1 << 62
	}
	return FreeSize + maxRatio*packed
}

// ErrBomb is what a layer is refused with that unpacks to more than its limit.
var ErrBomb = errors.New("it unpacks to far more than its packed size allows")

// Bomb is ErrBomb with its class.
func Bomb() error { return class.Of(ErrBomb, errdefs.ErrInvalidArgument) }

// Bounded returns a reader that fails with ErrBomb when more than limit bytes are read.
func Bounded(r io.Reader, limit int64) io.Reader { return &bounded{Reader: r, left: limit} }

// bounded fails when more is read than was allowed, where an io.LimitReader would seem to end.
type bounded struct {
	io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, Bomb()
	}
	return n, err
}

// Decompress reads gzip, zstd or plain bytes, whichever r has. Nothing is executed for it.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	buf := bufio.NewReaderSize(r, 64<<10)
	magic, err := buf.Peek(10)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch compression.DetectCompression(magic) {
	case compression.Gzip:
		z, err := gzip.NewReader(buf)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return z, nil
	case compression.Zstd:
		z, err := zstd.NewReader(buf, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(buf), nil
}

// Unpack writes a layer's archive into dir as overlayfs keeps a layer: a deleted file is a character device 0:0, a directory
// that hides what is below has the opaque mark. lower are the directories below, from which a directory that the archive
// does not mention takes its owner and mode.
func Unpack(ctx context.Context, r io.Reader, dir string, lower []string, limit int64) error {
	w := whiteouts{gone: map[string]bool{}}
	names := maxNames
	sizes := func(hdr *tar.Header) (bool, error) {
		// A sparse file can be large with few bytes in the archive.
		if hdr.Size < 0 || hdr.Size > limit {
			return false, Bomb()
		}
		limit -= hdr.Size
		if names -= footprint(hdr); names < 0 {
			return false, Bomb()
		}
		return true, nil
	}
	_, err := archive.Apply(ctx, dir, r, archive.WithFilter(sizes), archive.WithConvertWhiteout(w.convert), archive.WithParents(lower))
	if err != nil {
		return err
	}
	return w.finish(dir)
}

// footprint is roughly how much memory an entry takes while its layer is unpacked.
func footprint(hdr *tar.Header) int {
	const header = 128
	n := header + len(hdr.Name) + len(hdr.Linkname)
	for key, value := range hdr.PAXRecords {
		n += len(key) + len(value)
	}
	return n
}

// whiteouts writes an archive's marks of deletion as overlayfs reads them. They speak of the layers below alone: what the
// same archive brings under the same name, before or after the mark, stays.
type whiteouts struct {
	gone map[string]bool
}

func (w *whiteouts) convert(hdr *tar.Header, path string) (write bool, err error) {
	base, dir := filepath.Base(path), filepath.Dir(path)
	if !strings.HasPrefix(base, ".wh.") {
		return true, nil
	}
	if base == ".wh..wh..opq" {
		return false, opaque(dir)
	}
	if strings.HasPrefix(base, ".wh..wh.") {
		return false, nil // aufs kept its own books under such names
	}
	path = filepath.Join(dir, strings.TrimPrefix(base, ".wh."))
	w.gone[path] = true
	if err := unix.Mknod(path, unix.S_IFCHR, 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return false, &os.PathError{Op: "mknod", Path: path, Err: err}
	}
	return false, nil
}

// finish marks the directories that stand where something was deleted: they must not show what was there. The archive has
// had the time to put a symlink in the place of a directory above, which would lead the mark out of the layer: then what the
// mark was for is gone.
func (w *whiteouts) finish(dir string) error {
	root, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // opened for looking up names
	for path := range w.gone {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f, err := linux.OpenBeneath(root, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue
		}
		if err != nil {
			return err
		}
		err = unix.Fsetxattr(int(f.Fd()), opaqueXattr, []byte("y"), 0)
		if err := errors.Join(err, f.Close()); err != nil {
			return &os.PathError{Op: "mark opaque", Path: path, Err: err}
		}
	}
	return nil
}

const opaqueXattr = "trusted.overlay.opaque"

func opaque(dir string) error {
	if err := unix.Lsetxattr(dir, opaqueXattr, []byte("y"), 0); err != nil {
		return &os.PathError{Op: "mark opaque", Path: dir, Err: err}
	}
	return nil
}

// Sync writes what the file system of dir still has in memory to the disk.
func Sync(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
