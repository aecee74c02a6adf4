package images

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// nameAnnotation is where an OCI layout says what an image is called; names here have no host.
const nameAnnotation = "org.opencontainers.image.ref.name"

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func cut(name string) (repo, tag string, ok bool) { return strings.Cut(name, ":") }

// maker makes the images in a directory of its own.
type maker struct {
	work string
}

func (m maker) dir(name string) string { return filepath.Join(m.work, name) }

func (m maker) all(ctx context.Context, result string) error {
	if os.Geteuid() != 0 {
		return errors.New("root file systems are made by root")
	}
	base, err := m.debian(ctx)
	if err != nil {
		return err
	}
	web, err := m.nginx(ctx, base)
	if err != nil {
		return err
	}
	sample, err := m.sample(ctx)
	if err != nil {
		return err
	}
	path, err := layout.Write(result, empty.Index)
	if err != nil {
		return err
	}
	for name, img := range map[string]v1.Image{names[0]: base, names[1]: web("latest"), names[2]: web("1.7.9"), names[3]: sample} {
		if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{nameAnnotation: name})); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// run executes a command; what it said is in the error.
func run(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), append(env, "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, tail(out, 2000))
	}
	return nil
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// epoch is the time that images say they were made.
var epoch = time.Unix(0, 0).UTC()

// upon adds a layer, an uncompressed tar file, and a config to an image.
func upon(base v1.Image, tar string, change func(*v1.Config)) (v1.Image, error) {
	l, err := tarball.LayerFromFile(tar, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(base, l)
	if err != nil {
		return nil, err
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Created = "linux", runtime.GOARCH, v1.Time{Time: epoch}
	change(&cfg.Config)
	return mutate.ConfigFile(img, cfg)
}

// debian makes the base image.
func (m maker) debian(ctx context.Context) (v1.Image, error) {
	suite, sources, err := aptSources()
	if err != nil {
		return nil, err
	}
	args := []string{
		"--mode=root", "--variant=minbase", "--format=tar",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		suite, m.dir("debian.tar"),
	}
	if err := run(ctx, []string{"SOURCE_DATE_EPOCH=0"}, "mmdebstrap", append(args, sources...)...); err != nil {
		return nil, err
	}
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	return upon(img, m.dir("debian.tar"), func(c *v1.Config) {
		c.Env, c.Cmd = []string{path}, []string{"bash"}
	})
}

// aptSources says which Debian this machine is, and which of its files tell apt where that comes from. On another system it
// is Debian 12 from Debian's own address.
func aptSources() (suite string, files []string, err error) {
	b, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", nil, err
	}
	release := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			release[k] = strings.Trim(v, `"`)
		}
	}
	if release["ID"] != "debian" {
		return "bookworm", nil, nil
	}
	suite = release["VERSION_CODENAME"]
	candidates := []string{"/etc/apt/sources.list"}
	for _, pattern := range []string{"/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", nil, err
		}
		candidates = append(candidates, found...)
	}
	for _, c := range candidates {
		if b, err := os.ReadFile(c); err == nil && mentions(b, suite) {
			files = append(files, c)
		}
	}
	return suite, files, nil
}

// mentions says whether an apt source names the suite in a line that is no comment.
func mentions(b []byte, suite string) bool {
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		line, _, _ := strings.Cut(s.Text(), "#")
		for _, word := range strings.Fields(line) {
			if word == suite {
				return true
			}
		}
	}
	return false
}

// download gets the packages, and what they need beyond a root's packages, with this machine's apt.
func (m maker) download(ctx context.Context, root string, packages ...string) (debs []string, err error) {
	into := m.dir("debs-" + packages[0])
	if err := os.MkdirAll(filepath.Join(into, "partial"), 0o755); err != nil {
		return nil, err
	}
	args := []string{
		"-y", "--no-install-recommends", "--download-only", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root",
		"-o", "Dir::Cache::archives=" + into, "-o", "Dir::State::status=" + filepath.Join(root, "var/lib/dpkg/status"), "install",
	}
	if err := run(ctx, nil, "apt-get", append(args, packages...)...); err != nil {
		// Perhaps this machine's lists are empty or old.
		if uerr := run(ctx, nil, "apt-get", "update"); uerr != nil {
			return nil, errors.Join(err, uerr)
		}
		if err := run(ctx, nil, "apt-get", append(args, packages...)...); err != nil {
			return nil, err
		}
	}
	return filepath.Glob(filepath.Join(into, "*.deb"))
}

const nginxConf = `user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log notice;
events {
    worker_connections 1024;
}
http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    access_log /var/log/nginx/access.log;
    sendfile on;
    server {
        listen 80;
        server_name localhost;
        root /usr/share/nginx/html;
        index index.html index.htm;
    }
}
`

const nginxPage = "<!DOCTYPE html>\n<html>\n<head><title>Welcome to nginx!</title></head>\n<body><h1>Welcome to nginx!</h1></body>\n</html>\n"

// nginx installs Debian's nginx into an overlay upon the base: what that writes is the layer.
func (m maker) nginx(ctx context.Context, base v1.Image) (func(tag string) v1.Image, error) {
	root, err := m.overlay(ctx)
	if err != nil {
		return nil, err
	}
	err = m.install(ctx, root)
	if err := errors.Join(err, syscall.Unmount(root, 0)); err != nil {
		return nil, err
	}
	if err := packUpper(m.dir("upper"), m.dir("nginx.tar")); err != nil {
		return nil, err
	}
	tags := map[string]v1.Image{}
	for _, tag := range []string{"latest", "1.7.9"} {
		tags[tag], err = upon(base, m.dir("nginx.tar"), func(c *v1.Config) {
			c.Env, c.Cmd, c.StopSignal = []string{path, "NGINX_TAG=" + tag}, []string{"nginx", "-g", "daemon off;"}, "SIGQUIT"
			c.ExposedPorts = map[string]struct{}{"80/tcp": {}}
		})
		if err != nil {
			return nil, err
		}
	}
	return func(tag string) v1.Image { return tags[tag] }, nil
}

// overlay unpacks the base and mounts an overlay over it.
func (m maker) overlay(ctx context.Context) (string, error) {
	lower, upper, work, root := m.dir("lower"), m.dir("upper"), m.dir("overlay-work"), m.dir("root")
	for _, d := range []string{lower, upper, work, root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return "", err
		}
	}
	if err := run(ctx, nil, "tar", "-xpf", m.dir("debian.tar"), "-C", lower, "--xattrs"); err != nil {
		return "", err
	}
	opts := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)
	if err := syscall.Mount("overlay", root, "overlay", 0, opts); err != nil {
		return "", fmt.Errorf("mount an overlay on %s: %w", root, err)
	}
	return root, nil
}

func (m maker) install(ctx context.Context, root string) error {
	debs, err := m.download(ctx, root, "nginx-light")
	if err != nil {
		return err
	}
	// Nothing that is installed may start.
	policy := filepath.Join(root, "usr/sbin/policy-rc.d")
	if err := os.WriteFile(policy, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil {
		return err
	}
	inside := []string{root, "dpkg", "--install"}
	for _, d := range debs {
		b, err := os.ReadFile(d)
		if err != nil {
			return err
		}
		name := "/tmp/" + filepath.Base(d)
		if err := os.WriteFile(filepath.Join(root, name), b, 0o644); err != nil {
			return err
		}
		inside = append(inside, name)
	}
	if err := run(ctx, nil, "chroot", inside...); err != nil {
		return err
	}
	for _, d := range inside[3:] {
		if err := os.Remove(filepath.Join(root, d)); err != nil {
			return err
		}
	}
	logs := filepath.Join(root, "var/log/nginx")
	return errors.Join(
		os.Remove(policy),
		os.WriteFile(filepath.Join(root, "etc/nginx/nginx.conf"), []byte(nginxConf), 0o644),
		os.MkdirAll(filepath.Join(root, "usr/share/nginx/html"), 0o755),
		os.WriteFile(filepath.Join(root, "usr/share/nginx/html/index.html"), []byte(nginxPage), 0o644),
		link("/dev/stdout", filepath.Join(logs, "access.log")),
		link("/dev/stderr", filepath.Join(logs, "error.log")),
	)
}

func link(target, name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(target, name)
}

const samplePage = "<h1>Hello from the init container</h1>\n"

// sample is a page and the commands to copy it.
func (m maker) sample(ctx context.Context) (v1.Image, error) {
	root := m.dir("sample")
	for _, d := range []string{"bin", "tmp", "app"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			return nil, err
		}
	}
	debs, err := m.download(ctx, m.dir("lower"), "busybox-static")
	if err != nil {
		return nil, err
	}
	if len(debs) != 1 {
		return nil, fmt.Errorf("busybox-static came as %d packages", len(debs))
	}
	if err := run(ctx, nil, "dpkg-deb", "-x", debs[0], m.dir("busybox")); err != nil {
		return nil, err
	}
	program, err := findFile(m.dir("busybox"), "busybox")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(root, "bin/busybox"), program, 0o755); err != nil {
		return nil, err
	}
	for _, n := range []string{"sh", "cp", "ls", "cat", "echo", "sleep"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", n)); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(root, "index.html"), []byte(samplePage), 0o644); err != nil {
		return nil, err
	}
	if err := packUpper(root, m.dir("sample.tar")); err != nil {
		return nil, err
	}
	img := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	return upon(img, m.dir("sample.tar"), func(c *v1.Config) {
		c.Env, c.Cmd = []string{path}, []string{"sh"}
	})
}

// findFile reads the regular file of a name, wherever a package has put it.
func findFile(root, name string) (b []byte, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() != name || b != nil {
			return err
		}
		b, err = os.ReadFile(path)
		return err
	})
	if err == nil && b == nil {
		err = fmt.Errorf("no %s in the package", name)
	}
	return b, err
}
