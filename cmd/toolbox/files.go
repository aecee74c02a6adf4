package main

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
)

// every calls fn with each argument, and goes on after an error.
func (c *call) every(args []string, fn func(path string) error) int {
	code := 0
	for _, a := range args {
		if err := fn(c.path(a)); err != nil {
			code = c.fail(err)
		}
	}
	return code
}

func pwd(c *call) int {
	dir, err := c.dir, error(nil)
	if dir == "" {
		dir, err = os.Getwd()
	}
	if err != nil {
		return c.fail(err)
	}
	fmt.Fprintln(c.out, dir)
	return 0
}

func ln(c *call) int {
	fs := c.flags()
	sym, force, noDir := fs.Bool("s", false, "symbolic"), fs.Bool("f", false, "force"), fs.Bool("n", false, "do not follow")
	if fs.Parse(split(c.args, "sfn")) != nil || fs.NArg() < 1 || fs.NArg() > 2 {
		return c.usage("[-sfn] TARGET [LINK]")
	}
	target, link := fs.Arg(0), filepath.Base(fs.Arg(0))
	if fs.NArg() == 2 {
		link = fs.Arg(1)
	}
	link = c.path(link)
	if fi, err := os.Stat(link); err == nil && fi.IsDir() && !*noDir {
		link = filepath.Join(link, filepath.Base(target))
	}
	if *force {
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return c.fail(err)
		}
	}
	err := error(nil)
	if *sym {
		err = os.Symlink(target, link)
	} else {
		err = os.Link(c.path(target), link)
	}
	if err != nil {
		return c.fail(err)
	}
	return 0
}

func chown(c *call) int {
	set := c.flags()
	recursive, noFollow := set.Bool("R", false, "recursive"), set.Bool("h", false, "links themselves")
	if set.Parse(split(c.args, "Rh")) != nil || set.NArg() < 2 {
		return c.usage("[-Rh] USER[:GROUP] FILE…")
	}
	user, group, both := strings.Cut(set.Arg(0), ":")
	uid, gid := -1, -1
	var err error
	if user != "" {
		if uid, err = idOf("/etc/passwd", user); err != nil {
			return c.fail(err)
		}
	}
	if both && group != "" {
		if gid, err = idOf("/etc/group", group); err != nil {
			return c.fail(err)
		}
	}
	change := os.Chown
	if *noFollow {
		change = os.Lchown
	}
	return c.every(set.Args()[1:], func(path string) error {
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

func stat(c *call) int {
	fs := c.flags()
	format := fs.String("c", "", "format: %n %s %a %u %g %U %G %i %h %Y %F")
	follow := fs.Bool("L", false, "follow links")
	if fs.Parse(c.args) != nil || fs.NArg() == 0 {
		return c.usage("[-L] [-c FORMAT] FILE…")
	}
	if *format == "" {
		*format = "  File: %n\n  Size: %s  %F\nDevice: %d  Inode: %i  Links: %h\nAccess: (%a)  Uid: (%u/%U)  Gid: (%g/%G)\nModify: %y"
	}
	return c.every(fs.Args(), func(path string) error {
		look := os.Lstat
		if *follow {
			look = os.Stat
		}
		fi, err := look(path)
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		fmt.Fprintln(c.out, strings.NewReplacer(
			"%n", path, "%s", strconv.FormatInt(fi.Size(), 10), "%a", strconv.FormatUint(uint64(st.Mode&0o7777), 8),
			"%u", strconv.Itoa(int(st.Uid)), "%g", strconv.Itoa(int(st.Gid)), "%U", userName(st.Uid), "%G", groupName(st.Gid),
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

func readlink(c *call) int {
	if len(c.args) > 1 && c.args[0] == "-f" {
		c.args = c.args[1:]
		return realpath(c)
	}
	code := 0
	for _, a := range c.args {
		to, err := os.Readlink(c.path(a))
		if err != nil {
			code = 1 // says nothing, as everywhere
			continue
		}
		fmt.Fprintln(c.out, to)
	}
	return code
}

func realpath(c *call) int {
	return c.every(c.args, func(path string) error {
		path, err := filepath.Abs(path)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err == nil {
			fmt.Fprintln(c.out, path)
		}
		return err
	})
}

func rmdir(c *call) int {
	fs := c.flags()
	parents := fs.Bool("p", false, "parents too")
	if fs.Parse(c.args) != nil {
		return 2
	}
	return c.every(fs.Args(), func(path string) error {
		for {
			if err := syscall.Rmdir(path); err != nil {
				return &os.PathError{Op: "rmdir", Path: path, Err: err}
			}
			if path = filepath.Dir(path); !*parents || path == "." || path == "/" || path == c.dir {
				return nil
			}
		}
	})
}

func basename(c *call) int {
	if len(c.args) == 0 {
		return c.usage("NAME [SUFFIX]")
	}
	name := filepath.Base(c.args[0])
	if len(c.args) > 1 && name != c.args[1] {
		name = strings.TrimSuffix(name, c.args[1])
	}
	fmt.Fprintln(c.out, name)
	return 0
}

func dirname(c *call) int {
	for _, a := range c.args {
		fmt.Fprintln(c.out, filepath.Dir(strings.TrimRight(a, "/")+map[bool]string{true: "/", false: ""}[strings.Trim(a, "/") == "" && a != ""]))
	}
	return 0
}

func which(c *call) int {
	code := 0
	for _, a := range c.args {
		path, err := exec.LookPath(a)
		if err != nil {
			code = 1
			continue
		}
		fmt.Fprintln(c.out, path)
	}
	return code
}

func mkfifo(c *call) int {
	return c.every(c.args, func(path string) error {
		if err := syscall.Mkfifo(path, 0o666); err != nil {
			return &os.PathError{Op: "mkfifo", Path: path, Err: err}
		}
		return nil
	})
}
