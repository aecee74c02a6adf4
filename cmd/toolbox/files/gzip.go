package files

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

// Gzipped is gzip, gunzip and zcat: files in place with the ending .gz, or standard input to standard output.
func Gzipped(c *call.Call) int {
	fs := c.Flags()
	unpack, stdout, keep := fs.Bool("d", c.Name != "gzip", "unpack"), fs.Bool("c", c.Name == "zcat", "to standard output"), fs.Bool("k", false, "keep the file")
	fs.Bool("f", false, "force")
	if fs.Parse(call.Split(c.Args, "dckf")) != nil {
		return 2
	}
	return c.Each(fs.Args(), func(name string, r io.Reader) (err error) {
		if name == "" || *stdout {
			return gzipStream(c.Out, r, *unpack)
		}
		to := name + ".gz"
		if *unpack {
			var ok bool
			if to, ok = strings.CutSuffix(name, ".gz"); !ok {
				return fmt.Errorf("%s: unknown suffix", name)
			}
		}
		f, err := os.OpenFile(c.Path(to), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
		if err != nil {
			return err
		}
		if err := errors.Join(gzipStream(f, r, *unpack), f.Close()); err != nil {
			return errors.Join(err, os.Remove(c.Path(to)))
		}
		if *keep {
			return nil
		}
		return os.Remove(c.Path(name))
	})
}

func gzipStream(w io.Writer, r io.Reader, unpack bool) error {
	if !unpack {
		z := gzip.NewWriter(w)
		_, err := io.Copy(z, r)
		return errors.Join(err, z.Close())
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, z)
	return err
}
