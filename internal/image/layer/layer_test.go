package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/hull-pods/hull/internal/hulltest"
)

// FuzzUnpack unpacks anything and looks whether something was written outside the directory.
func FuzzUnpack(f *testing.F) {
	hulltest.NeedRoot(f)
	for _, hdrs := range [][]tar.Header{
		{{Name: "a", Typeflag: tar.TypeReg}, {Name: "../a", Typeflag: tar.TypeReg}},
		{{Name: "d", Typeflag: tar.TypeSymlink, Linkname: "../../outside"}, {Name: "d/a", Typeflag: tar.TypeReg}, {Name: "d/.wh.kept", Typeflag: tar.TypeReg}},
		{{Name: "h", Typeflag: tar.TypeLink, Linkname: "../outside/kept"}, {Name: "h", Typeflag: tar.TypeReg}},
		{{Name: "d/", Typeflag: tar.TypeDir}, {Name: "d/.wh..wh..opq", Typeflag: tar.TypeReg}, {Name: ".wh.d", Typeflag: tar.TypeReg}},
		{{Name: "c", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}, {Name: "p", Typeflag: tar.TypeFifo}},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range hdrs {
			h.Mode = 0o644
			if err := w.WriteHeader(&h); err != nil {
				f.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		top := t.TempDir()
		outside, dir := filepath.Join(top, "outside"), filepath.Join(top, "dir")
		kept := filepath.Join(outside, "kept")
		if err := errors.Join(os.Mkdir(outside, 0o755), os.Mkdir(dir, 0o755), os.WriteFile(kept, []byte("kept"), 0o600)); err != nil {
			t.Fatal(err)
		}
		_ = Unpack(t.Context(), bytes.NewReader(archive), dir, nil, 1<<20)
		if b, err := os.ReadFile(kept); err != nil || string(b) != "kept" {
			t.Errorf("the file outside: %q, %v", b, err)
		}
		for where, want := range map[string]int{top: 2, outside: 1} {
			if entries, err := os.ReadDir(where); err != nil || len(entries) != want {
				t.Errorf("%s has %v, %v", where, entries, err)
			}
		}
	})
}

func FuzzDecompress(f *testing.F) {
	f.Add([]byte("plain"))
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decompress(bytes.NewReader(b))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, Bounded(r, 1<<20))
		_ = r.Close() // says once more what reading said
	})
}

func TestBounded(t *testing.T) {
	if b, err := io.ReadAll(Bounded(bytes.NewReader(make([]byte, 10)), 10)); err != nil || len(b) != 10 {
		t.Errorf("read %d, %v", len(b), err)
	}
	if _, err := io.ReadAll(Bounded(bytes.NewReader(make([]byte, 11)), 10)); !errors.Is(err, ErrBomb) || !errdefs.IsInvalidArgument(err) {
		t.Errorf("read too much: %v", err)
	}
}

// TestManyNames: a layer of nothing but names, which pack well, would fill the memory long before the disk.
func TestManyNames(t *testing.T) {
	hulltest.NeedRoot(t)
	pr, pw := io.Pipe()
	defer pr.Close()
	attribute := map[string]string{"HULL.long": strings.Repeat("x", 1<<20-100)}
	go func() {
		w := tar.NewWriter(pw)
		for i := range maxNames>>20 + 10 {
			hdr := tar.Header{Name: fmt.Sprintf("d%d/", i), Typeflag: tar.TypeDir, Mode: 0o755, PAXRecords: attribute}
			if w.WriteHeader(&hdr) != nil {
				return // nobody reads any more
			}
		}
		_ = pw.CloseWithError(w.Close())
	}()
	if err := Unpack(t.Context(), pr, t.TempDir(), nil, 1<<62); !errors.Is(err, ErrBomb) {
		t.Errorf("unpacked: %v", err)
	}
}
