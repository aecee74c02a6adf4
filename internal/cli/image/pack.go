package image

import (
	"archive/tar"
	"io"
	"os"
)

// packed is a directory as a tar archive, made while it is read.
func packed(dir string) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		t := tar.NewWriter(w)
		err := t.AddFS(os.DirFS(dir))
		if err == nil {
			err = t.Close()
		}
		_ = w.CloseWithError(err) // the reader gets it
	}()
	return r
}
