package files

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// Tarball is tar: `tar -c|-x|-t [-zvmpk] [-f FILE] [-C DIR] [NAME…]`, the letters also without a dash. It is what `kubectl cp`
// calls in a container.
func Tarball(c *call.Call) int {
	o := tarOptions{c: c, file: "-", dir: c.Path(".")}
	names, err := o.parse(c.Args)
	if err != nil {
		fmt.Fprintf(c.Err, "tar: %v\n", err)
		return c.Usage("-c|-x|-t [-zvmpk] [-f FILE] [-C DIR] [NAME…]")
	}
	switch o.mode {
	case 'c':
		err = o.create(names)
	default:
		err = o.read(names)
	}
	if err != nil {
		return c.Fail(err)
	}
	return 0
}

type tarOptions struct {
	c                        *call.Call
	mode                     byte
	zip, verbose, keep, mine bool
	file, dir                string
}

// parse takes apart the letters; f and C take the next words as values.
func (o *tarOptions) parse(args []string) (names []string, err error) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			names = append(names, args[i+1:]...)
			break
		}
		switch letters := strings.TrimPrefix(a, "-"); {
		case a == "--no-same-owner":
			o.mine = true
		case strings.HasPrefix(a, "--"):
			return nil, fmt.Errorf("unknown option %s", a)
		case a == letters && i > 0:
			names = append(names, a)
		default:
			for j, l := range letters {
				if l != 'f' && l != 'C' {
					if err := o.letter(byte(l)); err != nil {
						return nil, err
					}
					continue
				}
				value := letters[j+1:]
				glued := value != "" && a != letters && strings.Trim(value, "cxtzvmpkofC") != ""
				if !glued {
					if i++; i >= len(args) {
						return nil, fmt.Errorf("-%c: want a value", l)
					}
					value = args[i]
				}
				if l == 'f' {
					o.file = value
				} else {
					o.dir = o.c.Path(value)
				}
				if glued {
					break
				}
			}
		}
	}
	if o.mode == 0 {
		return nil, errors.New("want one of -c, -x, -t")
	}
	return names, nil
}

func (o *tarOptions) letter(l byte) error {
	switch l {
	case 'c', 'x', 't':
		o.mode = l
	case 'z':
		o.zip = true
	case 'v':
		o.verbose = true
	case 'k':
		o.keep = true
	case 'o':
		o.mine = true
	case 'm', 'p', '-': // times are those of now, modes those of the archive
	default:
		return fmt.Errorf("unknown option -%c", l)
	}
	return nil
}

func (o *tarOptions) create(names []string) (err error) {
	out, say := o.c.Out, o.c.Err
	if o.file != "-" {
		f, err := os.Create(o.c.Path(o.file))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out, say = f, o.c.Out
	}
	if o.zip {
		z := gzip.NewWriter(out)
		defer func() { err = errors.Join(err, z.Close()) }()
		out = z
	}
	w := tar.NewWriter(out)
	for _, name := range names {
		err := filepath.WalkDir(filepath.Join(o.dir, name), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(o.dir, path)
			if err != nil {
				return err
			}
			if o.verbose {
				fmt.Fprintln(say, rel)
			}
			return addFile(w, path, rel, d)
		})
		if err != nil {
			return err
		}
	}
	return w.Close()
}

func addFile(w *tar.Writer, path, name string, d fs.DirEntry) error {
	fi, err := d.Info()
	if err != nil {
		return err
	}
	link := ""
	if fi.Mode()&os.ModeSymlink != 0 {
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	}
	if fi.Mode()&os.ModeSocket != 0 {
		return nil // no archive can have one
	}
	hdr, err := tar.FileInfoHeader(fi, link)
	if err != nil {
		return err
	}
	hdr.Name = name
	if fi.IsDir() {
		hdr.Name += "/"
	}
	if err := w.WriteHeader(hdr); err != nil || !fi.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	_, err = io.CopyN(w, f, hdr.Size)
	return errors.Join(err, f.Close())
}

func (o *tarOptions) read(names []string) (err error) {
	in := o.c.In
	if o.file != "-" {
		f, err := os.Open(o.c.Path(o.file))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		in = f
	}
	if o.zip {
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		in = z
	}
	root, err := os.OpenRoot(o.dir) // nothing is written outside, whatever the names and links in the archive
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for r := tar.NewReader(in); ; {
		hdr, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(strings.TrimLeft(hdr.Name, "/"))
		if !wanted(name, names) {
			continue
		}
		if o.mode == 't' || o.verbose {
			fmt.Fprintln(o.c.Out, hdr.Name)
		}
		if o.mode == 't' || name == "." {
			continue
		}
		if err := o.extract(root, name, hdr, r); err != nil {
			return fmt.Errorf("%s: %w", hdr.Name, err)
		}
	}
}

// wanted says whether a name is, or lies below, one of those that were asked for.
func wanted(name string, names []string) bool {
	for _, n := range names {
		if n = filepath.Clean(n); n == "." || name == n || strings.HasPrefix(name, n+"/") {
			return true
		}
	}
	return len(names) == 0
}

func (o *tarOptions) extract(root *os.Root, name string, hdr *tar.Header, r io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := hdr.FileInfo().Mode()
	if fi, err := root.Lstat(name); err == nil && !(fi.IsDir() && mode.IsDir()) {
		if o.keep {
			return fs.ErrExist
		}
		if err := root.Remove(name); err != nil {
			return err
		}
	}
	switch hdr.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	case tar.TypeSymlink:
		return root.Symlink(hdr.Linkname, name)
	case tar.TypeLink:
		return root.Link(filepath.Clean(hdr.Linkname), name)
	default:
		return errors.New("only files, directories and links are extracted")
	}
	if os.Geteuid() == 0 && !o.mine {
		if err := root.Lchown(name, hdr.Uid, hdr.Gid); err != nil {
			return err
		}
	}
	return root.Chmod(name, mode.Perm()|mode&(os.ModeSetuid|os.ModeSetgid|os.ModeSticky))
}
