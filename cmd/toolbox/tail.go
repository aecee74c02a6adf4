package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/hull-pods/hull/cmd/toolbox/call"
)

var errEnough = errors.New("enough")

// oldCount turns the old form `head -5` into `head -n 5`.
func oldCount(args []string) []string {
	if len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "0123456789") == "" {
		return append([]string{"-n", args[0][1:]}, args[1:]...)
	}
	return args
}

func head(c *call.Call) int {
	fs := c.Flags()
	n := fs.Int64("n", 10, "lines")
	bytesOnly := fs.Int64("c", -1, "bytes")
	if fs.Parse(oldCount(c.Args)) != nil {
		return 2
	}
	return c.Each(fs.Args(), func(name string, r io.Reader) error {
		if fs.NArg() > 1 {
			fmt.Fprintf(c.Out, "==> %s <==\n", name)
		}
		if *bytesOnly >= 0 {
			_, err := io.CopyN(c.Out, r, *bytesOnly)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
		left := *n
		err := call.Lines(r, func(line []byte) error {
			if left--; left < 0 {
				return errEnough
			}
			_, err := c.Out.Write(line)
			return err
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
}

func tail(c *call.Call) int {
	fs := c.Flags()
	count := fs.String("n", "10", "lines, from the beginning with +")
	bytesOnly := fs.Int64("c", -1, "bytes")
	follow := fs.Bool("f", false, "follow")
	fs.BoolVar(follow, "F", false, "follow")
	if fs.Parse(oldCount(c.Args)) != nil {
		return 2
	}
	n, err := strconv.ParseInt(*count, 10, 64)
	if err != nil {
		return c.Fail(fmt.Errorf("%q is no number of lines", *count))
	}
	if *follow {
		c.DieOf(nil)
	}
	return c.Each(fs.Args(), func(name string, r io.Reader) error {
		if fs.NArg() > 1 {
			fmt.Fprintf(c.Out, "==> %s <==\n", name)
		}
		if *bytesOnly >= 0 {
			err = lastBytes(c.Out, r, *bytesOnly)
		} else {
			err = lastLines(c.Out, r, n, (*count)[0] == '+')
		}
		if err != nil {
			return err
		}
		if f, ok := r.(*os.File); ok && *follow {
			return followFile(c.Out, f)
		}
		return nil
	})
}

func lastBytes(w io.Writer, r io.Reader, n int64) error {
	var kept []byte
	buf := make([]byte, 64<<10)
	for {
		got, err := r.Read(buf)
		kept = append(kept, buf[:got]...)
		kept = kept[max(0, int64(len(kept))-n):]
		if errors.Is(err, io.EOF) {
			_, err = w.Write(kept)
			return err
		}
		if err != nil {
			return err
		}
	}
}

func lastLines(w io.Writer, r io.Reader, n int64, fromStart bool) error {
	var kept [][]byte
	at := int64(0)
	err := call.Lines(r, func(line []byte) error {
		at++
		if fromStart {
			if at < n {
				return nil
			}
			_, err := w.Write(line)
			return err
		}
		if kept = append(kept, line); int64(len(kept)) > n {
			kept = kept[1:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	_, err = w.Write(bytes.Join(kept, nil))
	return err
}

// followFile copies what is written to a file from here on, told by inotify.
func followFile(w io.Writer, f *os.File) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("inotify_init1", err)
	}
	watch := os.NewFile(uintptr(fd), "inotify")
	defer watch.Close() //nolint:errcheck // nothing was written
	if _, err := unix.InotifyAddWatch(fd, f.Name(), unix.IN_MODIFY); err != nil {
		return &os.PathError{Op: "watch", Path: f.Name(), Err: err}
	}
	buf := make([]byte, 4096)
	for {
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		if _, err := watch.Read(buf); err != nil {
			return err
		}
		fi, err := f.Stat()
		if err != nil {
			return err
		}
		if at, err := f.Seek(0, io.SeekCurrent); err == nil && fi.Size() < at { // truncated
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return err
			}
		}
	}
}
