// Package files is the toolbox's commands that look at files, directories and disks, or change them.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/hull-pods/hull/cmd/toolbox/call"
	"github.com/hull-pods/hull/cmd/toolbox/users"
)

// Pwd says which directory the call is in.
func Pwd(c *call.Call) int {
	dir, err := c.Dir, error(nil)
	if dir == "" {
		dir, err = os.Getwd()
	}
	if err != nil {
		return c.Fail(err)
	}
	fmt.Fprintln(c.Out, dir)
	return 0
}

// Ln makes links: -s, -f, -n.
func Ln(c *call.Call) int {
	fs := c.Flags()
	sym, force, noDir := fs.Bool("s", false, "symbolic"), fs.Bool("f", false, "force"), fs.Bool("n", false, "do not follow")
	if fs.Parse(call.Split(c.Args, "sfn")) != nil || fs.NArg() < 1 || fs.NArg() > 2 {
		return c.Usage("[-sfn] TARGET [LINK]")
	}
	target, link := fs.Arg(0), filepath.Base(fs.Arg(0))
	if fs.NArg() == 2 {
		link = fs.Arg(1)
	}
	link = c.Path(link)
	if fi, err := os.Stat(link); err == nil && fi.IsDir() && !*noDir {
		link = filepath.Join(link, filepath.Base(target))
	}
	if *force {
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return c.Fail(err)
		}
	}
	err := error(nil)
	if *sym {
		err = os.Symlink(target, link)
	} else {
		err = os.Link(c.Path(target), link)
	}
	if err != nil {
		return c.Fail(err)
	}
	return 0
}

// Chown changes owners: -R, -h.
func Chown(c *call.Call) int {
	set := c.Flags()
	recursive, noFollow := set.Bool("R", false, "recursive"), set.Bool("h", false, "links themselves")
	if set.Parse(call.Split(c.Args, "Rh")) != nil || set.NArg() < 2 {
		return c.Usage("[-Rh] USER[:GROUP] FILE…")
	}
	user, group, both := strings.Cut(set.Arg(0), ":")
	uid, gid := -1, -1
	var err error
	if user != "" {
		if uid, err = users.ID(user); err != nil {
			return c.Fail(err)
		}
	}
	if both && group != "" {
		if gid, err = users.GroupID(group); err != nil {
			return c.Fail(err)
		}
	}
	change := os.Chown
	if *noFollow {
		change = os.Lchown
	}
	return c.Every(set.Args()[1:], func(path string) error {
		if !*recursive {
			return change(path, uid, gid)
		}
		return filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(p, uid, gid)
		})
	})
}

// Stat shows what is known of a file: -L, -c FORMAT.
func Stat(c *call.Call) int {
	fs := c.Flags()
	format := fs.String("c", "", "format: %n %s %a %u %g %U %G %i %h %Y %F")
	follow := fs.Bool("L", false, "follow links")
	if fs.Parse(c.Args) != nil || fs.NArg() == 0 {
		return c.Usage("[-L] [-c FORMAT] FILE…")
	}
	if *format == "" {
		*format = "  File: %n\n  Size: %s  %F\nDevice: %d  Inode: %i  Links: %h\nAccess: (%a)  Uid: (%u/%U)  Gid: (%g/%G)\nModify: %y"
	}
	return c.Every(fs.Args(), func(path string) error {
		look := os.Lstat
		if *follow {
			look = os.Stat
		}
		fi, err := look(path)
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		fmt.Fprintln(c.Out, strings.NewReplacer(
			"%n", path, "%s", strconv.FormatInt(fi.Size(), 10), "%a", strconv.FormatUint(uint64(st.Mode&0o7777), 8),
			"%u", strconv.Itoa(int(st.Uid)), "%g", strconv.Itoa(int(st.Gid)), "%U", users.Name(st.Uid), "%G", users.Group(st.Gid),
			"%i", strconv.FormatUint(st.Ino, 10), "%h", strconv.FormatUint(uint64(st.Nlink), 10), "%d", strconv.FormatUint(uint64(st.Dev), 10),
			"%Y", strconv.FormatInt(fi.ModTime().Unix(), 10), "%y", fi.ModTime().Format("2006-01-02 15:04:05.000000000 -0700"), "%F", kindOf(fi.Mode()), "%%", "%",
		).Replace(*format))
		return nil
	})
}

func kindOf(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&os.ModeSymlink != 0:
		return "symbolic link"
	case m&os.ModeNamedPipe != 0:
		return "fifo"
	case m&os.ModeSocket != 0:
		return "socket"
	case m&os.ModeCharDevice != 0:
		return "character special file"
	case m&os.ModeDevice != 0:
		return "block special file"
	}
	return "regular file"
}

// Readlink shows where a link leads; -f follows it to the end.
func Readlink(c *call.Call) int {
	if len(c.Args) > 1 && c.Args[0] == "-f" {
		c.Args = c.Args[1:]
		return Realpath(c)
	}
	code := 0
	for _, a := range c.Args {
		to, err := os.Readlink(c.Path(a))
		if err != nil {
			code = 1 // says nothing, as everywhere
			continue
		}
		fmt.Fprintln(c.Out, to)
	}
	return code
}

// Realpath shows a path without links.
func Realpath(c *call.Call) int {
	return c.Every(c.Args, func(path string) error {
		path, err := filepath.Abs(path)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err == nil {
			fmt.Fprintln(c.Out, path)
		}
		return err
	})
}

// Rmdir removes empty directories: -p.
func Rmdir(c *call.Call) int {
	fs := c.Flags()
	parents := fs.Bool("p", false, "parents too")
	if fs.Parse(c.Args) != nil {
		return 2
	}
	return c.Every(fs.Args(), func(path string) error {
		for {
			if err := syscall.Rmdir(path); err != nil {
				return &os.PathError{Op: "rmdir", Path: path, Err: err}
			}
			if path = filepath.Dir(path); !*parents || path == "." || path == "/" || path == c.Dir {
				return nil
			}
		}
	})
}

// Basename shows the last part of a path.
func Basename(c *call.Call) int {
	if len(c.Args) == 0 {
		return c.Usage("NAME [SUFFIX]")
	}
	name := filepath.Base(c.Args[0])
	if len(c.Args) > 1 && name != c.Args[1] {
		name = strings.TrimSuffix(name, c.Args[1])
	}
	fmt.Fprintln(c.Out, name)
	return 0
}

// Dirname shows all but the last part of a path.
func Dirname(c *call.Call) int {
	for _, a := range c.Args {
		fmt.Fprintln(c.Out, filepath.Dir(strings.TrimRight(a, "/")+map[bool]string{true: "/", false: ""}[strings.Trim(a, "/") == "" && a != ""]))
	}
	return 0
}

// Which shows where commands are.
func Which(c *call.Call) int {
	code := 0
	for _, a := range c.Args {
		path, err := exec.LookPath(a)
		if err != nil {
			code = 1
			continue
		}
		fmt.Fprintln(c.Out, path)
	}
	return code
}

// Mkfifo makes named pipes.
func Mkfifo(c *call.Call) int {
	return c.Every(c.Args, func(path string) error {
		if err := syscall.Mkfifo(path, 0o666); err != nil {
			return &os.PathError{Op: "mkfifo", Path: path, Err: err}
		}
		return nil
	})
}
