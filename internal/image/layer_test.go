package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/containerd/errdefs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/internal/image/layer"
)

type file struct {
	name, body, link string
	kind             byte // 0 is a regular file
	mode             int64
	uid              int
	pax              map[string]string
	major            int64
}

func tarOf(t *testing.T, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		hdr := &tar.Header{Name: f.name, Typeflag: f.kind, Mode: f.mode, Uid: f.uid, Gid: f.uid, Linkname: f.link, PAXRecords: f.pax, Devmajor: f.major, Devminor: f.major}
		if f.kind == 0 {
			hdr.Typeflag = tar.TypeReg
			hdr.Size = int64(len(f.body))
		}
		if hdr.Mode == 0 {
			hdr.Mode = 0o644
		}
		if f.pax != nil {
			hdr.Format = tar.FormatPAX
		}
		if err := w.WriteHeader(hdr); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// imageOf makes an image whose layers are these archives, the lowest first.
func imageOf(t *testing.T, layers ...[]byte) v1.Image {
	t.Helper()
	img := v1.Image(empty.Image)
	for _, b := range layers {
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, l); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

// mounted pulls an image and shows it as a container would see it.
func (f *fixture) mounted(t *testing.T, img v1.Image) string {
	t.Helper()
	f.push(t, "library/layers:latest", img)
	got := f.pull(t, "layers")
	dirs, err := f.Layers(t.Context(), got.ID, t.Name())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// Two lower directories at least, or overlayfs wants an upper one.
	opts := "lowerdir=" + strings.Join(append(dirs, f.emptyDir()), ":")
	if err := syscall.Mount("overlay", dir, "overlay", syscall.MS_RDONLY, opts); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Unmount(dir, 0), f.Release(context.Background(), t.Name())); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func list(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path != dir && err == nil {
			rel, _ := filepath.Rel(dir, path)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func TestLayersAsAContainerSeesThem(t *testing.T) {
	f := newFixture(t)
	dir := f.mounted(t, imageOf(t,
		tarOf(t,
			file{name: "./", kind: tar.TypeDir, mode: 0o755},
			file{name: "gone", body: "1"}, file{name: "changed", body: "old"},
			file{name: "tmp/", kind: tar.TypeDir, mode: 0o1777, uid: 7},
			file{name: "opaque/", kind: tar.TypeDir, mode: 0o755}, file{name: "opaque/below", body: "1"},
			file{name: "replaced/", kind: tar.TypeDir, mode: 0o755}, file{name: "replaced/below", body: "1"},
			file{name: "late/", kind: tar.TypeDir, mode: 0o755}, file{name: "late/below", body: "1"},
			file{name: "both", body: "old"},
		),
		tarOf(t,
			file{name: ".wh.gone"}, file{name: "changed", body: "new"},
			file{name: "tmp/file", body: "in a directory that this layer does not describe"},
			file{name: "opaque/.wh..wh..opq"}, file{name: "opaque/above", body: "1"},
			file{name: ".wh.replaced"}, file{name: "replaced/", kind: tar.TypeDir, mode: 0o755}, file{name: "replaced/above", body: "1"},
			file{name: "late/", kind: tar.TypeDir, mode: 0o755}, file{name: "late/above", body: "1"}, file{name: ".wh.late"},
			file{name: "both", body: "new"}, file{name: ".wh.both"},
			file{name: "setuid", mode: 0o4755, uid: 3}, file{name: "hard", kind: tar.TypeLink, link: "setuid", mode: 0o4755, uid: 3},
			file{name: "link", kind: tar.TypeSymlink, link: "/etc/passwd"},
			file{name: "capable", pax: map[string]string{"SCHILY.xattr.user.k": "v", "SCHILY.xattr.trusted.overlay.redirect": "/x"}},
			file{name: "pipe", kind: tar.TypeFifo}, file{name: "null", kind: tar.TypeChar, major: 1},
		)))
	want := "both capable changed hard late late/above link null opaque opaque/above pipe replaced replaced/above setuid tmp tmp/file"
	if got := list(t, dir); got != want {
		t.Errorf("files  %s\nwanted %s", got, want)
	}
	for name, body := range map[string]string{"changed": "new", "both": "new"} {
		if b, _ := os.ReadFile(filepath.Join(dir, name)); string(b) != body {
			t.Errorf("%s: %q", name, b)
		}
	}
	st := func(name string) (s syscall.Stat_t) {
		if err := syscall.Lstat(filepath.Join(dir, name), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := st("tmp"); s.Mode&0o7777 != 0o1777 || s.Uid != 7 {
		t.Errorf("tmp: mode %o, uid %d", s.Mode, s.Uid)
	}
	if s := st("setuid"); s.Mode&0o7777 != 0o4755 || s.Uid != 3 || s.Ino != st("hard").Ino {
		t.Errorf("setuid: mode %o, uid %d, inode %d; hard link's inode %d", s.Mode, s.Uid, s.Ino, st("hard").Ino)
	}
	if s := st("null"); s.Mode&syscall.S_IFMT != syscall.S_IFCHR || unix.Major(s.Rdev) != 1 {
		t.Errorf("null: mode %o, device %d", s.Mode, s.Rdev)
	}
	value := make([]byte, 10)
	if n, err := unix.Lgetxattr(filepath.Join(dir, "capable"), "user.k", value); err != nil || string(value[:n]) != "v" {
		t.Errorf("xattr: %v", err)
	}
}

func TestNoLayers(t *testing.T) {
	f := newFixture(t)
	f.push(t, "library/none:latest", imageOf(t))
	dirs, err := f.Layers(t.Context(), f.pull(t, "none").ID, "test")
	if err != nil || len(dirs) != 1 || list(t, dirs[0]) != "" {
		t.Errorf("directories of an image without layers: %v, %v", dirs, err)
	}
}

func TestHostileLayers(t *testing.T) {
	f := newFixture(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(filepath.Dir(outside), "outside dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 30)
	for name, files := range map[string][]file{
		"dots":              {{name: up + outside[1:], body: "x"}},
		"absolute":          {{name: outside, body: "x"}},
		"symlink":           {{name: "d", kind: tar.TypeSymlink, link: filepath.Dir(outside)}, {name: "d/outside", body: "x"}},
		"symlink up":        {{name: "d", kind: tar.TypeSymlink, link: up + filepath.Dir(outside)[1:]}, {name: "d/outside", body: "x"}},
		"symlink replaced":  {{name: "d/", kind: tar.TypeDir, mode: 0o755}, {name: "d", kind: tar.TypeSymlink, link: filepath.Dir(outside)}, {name: "d/outside", body: "x"}},
		"hard link":         {{name: "h", kind: tar.TypeLink, link: outside}, {name: "h", body: "x"}},
		"hard link up":      {{name: "h", kind: tar.TypeLink, link: up + outside[1:]}},
		"hard link through": {{name: "d", kind: tar.TypeSymlink, link: filepath.Dir(outside)}, {name: "h", kind: tar.TypeLink, link: "d/outside"}, {name: "h", mode: 0o777, body: "x"}},
		"whiteout":          {{name: ".wh.."}, {name: ".wh..."}},
		"whiteout through":  {{name: "d", kind: tar.TypeSymlink, link: filepath.Dir(outside)}, {name: "d/.wh.outside"}},
		"replaced later":    {{name: "d/.wh.outside dir"}, {name: "d", kind: tar.TypeSymlink, link: filepath.Dir(outside)}},
		"opaque through":    {{name: "d", kind: tar.TypeSymlink, link: filepath.Dir(outside)}, {name: "d/.wh..wh..opq"}},
	} {
		t.Run(name, func(t *testing.T) {
			f.push(t, "library/hostile:latest", imageOf(t, tarOf(t, files...)))
			img, err := f.Pull(t.Context(), "hostile", PullOptions{})
			t.Logf("pull: %v", err)
			if b, rerr := os.ReadFile(outside); rerr != nil || string(b) != "untouched" {
				t.Errorf("the file outside: %q, %v", b, rerr)
			}
			if fi, _ := os.Stat(outside); fi.Mode() != 0o600 || fi.Sys().(*syscall.Stat_t).Nlink != 1 {
				t.Errorf("the file outside: mode %v, links %d", fi.Mode(), fi.Sys().(*syscall.Stat_t).Nlink)
			}
			if got := list(t, filepath.Dir(outside)); got != "outside outside dir" {
				t.Errorf("the directory outside: %s", got)
			}
			for _, d := range []string{dir, filepath.Dir(outside)} {
				if n, err := unix.Lgetxattr(d, "trusted.overlay.opaque", nil); err == nil {
					t.Errorf("%s: has a mark of %d bytes", d, n)
				}
			}
			if err == nil {
				if err := f.Remove(t.Context(), img.ID); err != nil {
					t.Error(err)
				}
			}
			if _, _, layers := f.contents(t); layers != 0 {
				t.Errorf("%d layers are left", layers)
			}
		})
	}
}

func TestBombs(t *testing.T) {
	f := newFixture(t)
	f.config.KeepPartial = -1
	f.reopen(t)
	// The archive's head, and then the same packed zeros over and over, which both formats take as one stream. Without a head
	// the zeros come after the archive's end.
	const piece, pieces = 16 << 20, layer.FreeSize>>24 + 40
	bombOf := func(head []byte, pack func(io.Writer) io.WriteCloser) []byte {
		packed := func(b []byte) []byte {
			var out bytes.Buffer
			z := pack(&out)
			if _, err := z.Write(b); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			return out.Bytes()
		}
		return append(packed(head), bytes.Repeat(packed(make([]byte, piece)), pieces)...)
	}
	zs := bombOf(nil, func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w)
		if err != nil {
			t.Fatal(err)
		}
		return z
	})
	gz := bombOf(tarClaiming(t, piece*pieces), func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	for name, packed := range map[string]v1.Layer{
		"zstd":  blob{zs, types.OCILayerZStd},
		"gzip":  blob{gz, types.OCILayer},
		"claim": blob{tarClaiming(t, 1<<60), types.OCIUncompressedLayer},
	} {
		t.Run(name, func(t *testing.T) {
			img, err := mutate.AppendLayers(empty.Image, packed)
			if err != nil {
				t.Fatal(err)
			}
			f.push(t, "library/bomb:latest", img)
			_, err = f.Pull(t.Context(), "bomb", PullOptions{})
			if !errors.Is(err, layer.ErrBomb) || !errdefs.IsInvalidArgument(err) {
				t.Errorf("pull: %v", err)
			}
			f.wantNothing(t)
		})
	}
}

func tarClaiming(t *testing.T, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "claim", Size: size, Mode: 0o644, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestBombOfManyLayers: what each layer may unpack to for nothing, an image may once.
func TestBombOfManyLayers(t *testing.T) {
	f := newFixture(t)
	f.config.KeepPartial = -1
	f.reopen(t)
	// Zeros behind the archive's end, which are hashed and thrown away: two thirds of what is free, in each layer.
	const piece, pieces = 16 << 20, layer.FreeSize >> 24 * 2 / 3
	head, zeros := tarOf(t, file{name: "a", body: "b"}), make([]byte, piece)
	plain := sha256.New()
	_, _ = plain.Write(head)
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	packed := z.EncodeAll(head, nil)
	for range pieces {
		_, _ = plain.Write(zeros)
		packed = z.EncodeAll(zeros, packed)
	}
	one := diffed{blob{packed, types.OCILayerZStd}, v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(plain.Sum(nil))}}
	for _, layers := range []int{2, 1} { // where one is there already, the other alone is not too much
		img, err := mutate.AppendLayers(empty.Image, slices.Repeat([]v1.Layer{one}, layers)...)
		if err != nil {
			t.Fatal(err)
		}
		f.push(t, "library/bomb:latest", img)
		if _, err = f.Pull(t.Context(), "bomb", PullOptions{}); (layers > 1) != errors.Is(err, layer.ErrBomb) {
			t.Errorf("%d layers: %v", layers, err)
		}
	}
}

// diffed is a layer whose diff ID is known.
type diffed struct {
	blob
	id v1.Hash
}

func (l diffed) DiffID() (v1.Hash, error) { return l.id, nil }

// blob is a layer of exactly these packed bytes, whose diff ID is made up.
type blob struct {
	b    []byte
	kind types.MediaType
}

func (l blob) Digest() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(l.b))
	return h, err
}
func (l blob) DiffID() (v1.Hash, error)             { return l.Digest() }
func (l blob) Compressed() (io.ReadCloser, error)   { return io.NopCloser(bytes.NewReader(l.b)), nil }
func (l blob) Uncompressed() (io.ReadCloser, error) { return nil, errors.New("not asked for") }
func (l blob) Size() (int64, error)                 { return int64(len(l.b)), nil }
func (l blob) MediaType() (types.MediaType, error)  { return l.kind, nil }

func TestWrongDiffID(t *testing.T) {
	f := newFixture(t)
	plain := tarOf(t, file{name: "a", body: "1"})
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, blob{b.Bytes(), types.OCILayer})
	if err != nil {
		t.Fatal(err)
	}
	f.push(t, "library/x:latest", img)
	_, err = f.Pull(t.Context(), "x", PullOptions{})
	want, _, _ := v1.SHA256(bytes.NewReader(plain))
	if !errdefs.IsDataLoss(err) || !strings.Contains(err.Error(), fmt.Sprintf("wrong diff ID: the layer unpacks to %s", want)) {
		t.Errorf("pull: %v", err)
	}
}
