package crash

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// tiny is a program that exits with 0, as a whole ELF executable: the smallest thing that an image can run.
func tiny(t testing.TB) []byte {
	t.Helper()
	code, machine := []byte{0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05}, uint16(62) // xor edi, edi; mov eax, 60; syscall
	if runtime.GOARCH == "arm64" {
		// mov x0, 0; mov x8, 93; svc 0
		code, machine = []byte{0x00, 0x00, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4}, 183
	}
	const base, headers = 0x400000, 64 + 56
	var b bytes.Buffer
	for _, v := range []any{
		[]byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint16(2), machine, uint32(1),
		uint64(base + headers), uint64(64), uint64(0), uint32(0), uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), uint64(headers + len(code)), uint64(headers + len(code)), uint64(0x1000),
		code,
	} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// registry serves an image tiny:TAG for any tag, each of a layer of its own, so that each is fetched and unpacked anew.
func registry(t *testing.T) (host string) {
	t.Helper()
	program := tiny(t)
	blobs := map[string][]byte{} // by digest; filled when a tag's manifest is asked for, before its blobs
	lock := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock <- struct{}{}
		defer func() { <-lock }()
		kind, name := "", r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		var body []byte
		switch {
		case r.URL.Path == "/v2/":
		case strings.Contains(r.URL.Path, "/manifests/"):
			kind = "application/vnd.oci.image.manifest.v1+json"
			if body = blobs[name]; body == nil {
				body = manifest(t, name, program, blobs)
			}
			w.Header().Set("Docker-Content-Digest", digest(body))
		default:
			kind = "application/octet-stream"
			if body = blobs[name]; body == nil {
				http.NotFound(w, r)
				return
			}
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(body)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func manifest(t testing.TB, tag string, program []byte, blobs map[string][]byte) []byte {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for name, data := range map[string][]byte{"tiny": program, "tag": []byte(tag)} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			t.Error(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Error(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(layer.Bytes())
	_ = z.Close()
	config := fmt.Appendf(nil, `{"architecture":%q,"os":"linux","config":{"Entrypoint":["/tiny"]},"rootfs":{"type":"layers","diff_ids":[%q]}}`, runtime.GOARCH, digest(layer.Bytes()))
	body := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
	"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},
	"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":%d}]}`,
		digest(config), len(config), digest(packed.Bytes()), packed.Len())
	for _, b := range [][]byte{config, packed.Bytes(), body} {
		blobs[digest(b)] = b
	}
	return body
}
