// Command mkimage builds the toolbox and makes its image: an OCI layout in a tar, the same bytes from the same source and
// the same Go each time.
//
//	go run ./internal/assets/mkimage -o internal/assets/toolbox.tar [-arch arm64]
//
// Beside the archive it writes the digest of the image's manifest, toolbox.digest.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/hull-pods/hull/internal/assets"
)

func main() {
	out := flag.String("o", "toolbox.tar", "file to write; its digest goes beside it")
	arch := flag.String("arch", runtime.GOARCH, "architecture of the image")
	flag.Parse()
	if err := run(*out, *arch); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(out, arch string) error {
	tmp, err := os.MkdirTemp("", "hull-toolbox-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // a temporary directory
	program := filepath.Join(tmp, "toolbox")
	if err := build(program, arch); err != nil {
		return err
	}
	names, err := appletNames(tmp, program, arch)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	layer, err := layerOf(b, names, arch)
	if err != nil {
		return err
	}
	archive, digest, err := imageOf(layer, arch)
	if err != nil {
		return err
	}
	return errors.Join(
		replace(strings.TrimSuffix(out, ".tar")+".digest", []byte(digest+"\n")),
		replace(out, archive),
	)
}

// build compiles the toolbox so that nothing of this machine is in it.
func build(to, arch string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", to, "github.com/hull-pods/hull/cmd/toolbox")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build toolbox for %s: %w", arch, err)
	}
	return nil
}

// appletNames asks the program for its commands; one for another architecture is built for this one to be asked.
func appletNames(tmp, program, arch string) ([]string, error) {
	if arch != runtime.GOARCH {
		program = filepath.Join(tmp, "native")
		if err := build(program, runtime.GOARCH); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(program)
	cmd.Args[0] = "toolbox"
	list, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("ask toolbox for its commands: %w", err)
	}
	return strings.Fields(string(list)), nil
}

// epoch is the time of every file and of the image.
var epoch = time.Unix(0, 0).UTC()

// layerOf makes the image's root: /bin with a link for each command, the files that name users, and the directories that
// programs expect.
func layerOf(program []byte, names []string, arch string) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	dir := func(name string, mode int64) error { return entry(w, name+"/", tar.TypeDir, mode, "", nil) }
	file := func(name string, mode int64, body string) error {
		return entry(w, name, tar.TypeReg, mode, "", []byte(body))
	}
	steps := []error{
		dir("bin", 0o755), file("bin/toolbox", 0o755, string(program)),
	}
	for _, n := range names {
		if code, ok := tiny(n, arch); ok {
			steps = append(steps, file("bin/"+n, 0o755, string(code)))
			continue
		}
		steps = append(steps, entry(w, "bin/"+n, tar.TypeSymlink, 0o777, "toolbox", nil))
	}
	steps = append(steps,
		dir("dev", 0o755), dir("etc", 0o755),
		file("etc/group", 0o644, "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
		file("etc/nsswitch.conf", 0o644, "hosts: files dns\n"),
		file("etc/os-release", 0o644, "NAME=\"Hull toolbox\"\nID=hull-toolbox\nPRETTY_NAME=\"Hull toolbox\"\n"),
		file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
		dir("proc", 0o555), dir("root", 0o700), dir("run", 0o755), dir("sys", 0o555), dir("tmp", 0o1777),
		dir("usr", 0o755), entry(w, "usr/bin", tar.TypeSymlink, 0o777, "../bin", nil),
		dir("var", 0o755), dir("var/log", 0o755), dir("var/tmp", 0o1777),
		w.Close(),
	)
	err := errors.Join(steps...)
	return b.Bytes(), err
}

func entry(w *tar.Writer, name string, kind byte, mode int64, link string, body []byte) error {
	hdr := &tar.Header{Name: name, Typeflag: kind, Mode: mode, Linkname: link, Size: int64(len(body)), ModTime: epoch, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(hdr); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err := w.Write(body)
	return err
}

// imageOf wraps a layer into an image under the toolbox's name.
func imageOf(layer []byte, arch string) (archive []byte, digest string, err error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, "", err
	}
	if _, err := z.Write(layer); err != nil {
		return nil, "", err
	}
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	blobs := map[string][]byte{}
	add := func(mediaType string, body []byte) descriptor {
		d := sum(body)
		blobs[d] = body
		return descriptor{MediaType: mediaType, Digest: d, Size: len(body)}
	}
	config, err := json.Marshal(map[string]any{
		"created": epoch, "architecture": arch, "os": "linux",
		"config":  map[string]any{"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, "Cmd": []string{"/bin/sh"}},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{sum(layer)}},
		"history": []any{map[string]any{"created": epoch, "created_by": "Hull's toolbox"}},
	})
	if err != nil {
		return nil, "", err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": add("application/vnd.oci.image.config.v1+json", config),
		"layers": []descriptor{add("application/vnd.oci.image.layer.v1.tar+gzip", packed.Bytes())},
	})
	if err != nil {
		return nil, "", err
	}
	m := add("application/vnd.oci.image.manifest.v1+json", manifest)
	m.Annotations = map[string]string{"io.containerd.image.name": assets.ToolboxName, "org.opencontainers.image.ref.name": assets.ToolboxName}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []descriptor{m}})
	if err != nil {
		return nil, "", err
	}
	archive, err = layoutOf(index, blobs)
	return archive, m.Digest, err
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func sum(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// layoutOf writes an OCI layout as a tar.
func layoutOf(index []byte, blobs map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	steps := []error{
		entry(w, "oci-layout", tar.TypeReg, 0o644, "", []byte(`{"imageLayoutVersion":"1.0.0"}`)),
		entry(w, "index.json", tar.TypeReg, 0o644, "", index),
		entry(w, "blobs/", tar.TypeDir, 0o755, "", nil),
		entry(w, "blobs/sha256/", tar.TypeDir, 0o755, "", nil),
	}
	for _, d := range sorted(blobs) {
		steps = append(steps, entry(w, "blobs/sha256/"+strings.TrimPrefix(d, "sha256:"), tar.TypeReg, 0o644, "", blobs[d]))
	}
	err := errors.Join(append(steps, w.Close())...)
	return b.Bytes(), err
}

// replace writes a file in one step, and not at all when it has these bytes: a build does not see it as new then.
func replace(name string, b []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, b) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".toolbox-")
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(b))
	if err := errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), name)
}
